// Gradio hands the page's events to Svelte as state that may change, and looks through all of them for each component, twice: tens
// of thousands of looks, each through a Proxy. They never change, and what has a class of its own Svelte leaves as it is.
{
  class Fixed {}
  for (const event of window.gradio_config?.dependencies ?? []) Object.setPrototypeOf(event, Fixed.prototype);
}
