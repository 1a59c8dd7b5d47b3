// What was written stays through a reload, in this tab of this browser alone: session storage is gone once the tab is closed, and
// nobody who sits there next finds it.
// The voice that was chosen is no secret: it stays in this browser.
// A browser may refuse both stores: then nothing is kept.
const stored = (use) => {
  try {
    return use();
  } catch {
    return null;
  }
};
window.session = {
  choose: (voice) => stored(() => localStorage.setItem("speech.voice", voice)),
  voice: () => stored(() => localStorage.getItem("speech.voice")),
  keep: (names, texts) =>
    names.forEach((name, index) => {
      if (texts[index]) stored(() => sessionStorage.setItem(`speech-${name}`, texts[index]));
      else stored(() => sessionStorage.removeItem(`speech-${name}`));
    }),
  // Live captions have their text box once they are over. Until then what is sure of them is kept, the newest pages of it.
  keepCaptions: (markup) => {
    if (!markup) return;
    const { body } = new DOMParser().parseFromString(markup, "text/html");
    body.querySelectorAll(".partial").forEach((words) => words.remove());
    window.session.keep(["captions"], [body.textContent]);
  },
  kept: (names) =>
    names.map((name) => {
      const value = stored(() => sessionStorage.getItem(`speech-${name}`));
      return value ? { value, visible: true, __type__: "update" } : undefined; // which Gradio leaves as it is
    }),
};
