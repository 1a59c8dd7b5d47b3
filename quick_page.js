// Gradio hands the page's events to Svelte as state that may change, and then looks through all of them for each of the components,
// twice: a tenth of the time until there is something to click on. They never change, and what has a class of its own Svelte leaves as it is.
{
  class Fixed {}
  for (const event of window.gradio_config?.dependencies ?? []) Object.setPrototypeOf(event, Fixed.prototype);
}
