// What was said, piece by piece: a click plays the sound from there.
//
// Runs as a gr.HTML component's own script. Its buttons say where they begin (data-start, s); around them stands which gr.Audio
// they belong to (data-player) and how long that is (data-seconds). Gradio has no event that seeks in a player that is already
// there, so the click becomes one on the waveform itself.
element.addEventListener("click", (event) => {
  const segment = event.target.closest("button[data-start]");
  if (!segment) return;
  const { player, seconds } = segment.closest("[data-player]").dataset;
  const audio = document.getElementById(player);
  const waveform = audio?.querySelector("#waveform > div")?.shadowRoot?.querySelector(".wrapper");
  if (!waveform) return;
  const { left, top, width } = waveform.getBoundingClientRect();
  const clientX = left + (width * segment.dataset.start) / seconds;
  waveform.dispatchEvent(new MouseEvent("click", { bubbles: true, composed: true, clientX, clientY: top + 1 }));
  setTimeout(() => {
    const button = audio.querySelector(".play-pause-button");
    if (button && !button.querySelector("rect")) button.click(); // two bars where it plays; what it is called is in the browser's language
  }, 50);
});
