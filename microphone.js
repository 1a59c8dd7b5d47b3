// What Gradio's streaming microphone loses, kept: the words before Stop, and the order of the chunks.
//
// At Stop the component drops the chunk that is being recorded and what is still being uploaded. Here a click on Stop is
// held back until the chunk that contains it has been handed to the page; only then does the component get it.
// Each chunk is numbered as it is handed over, so that the server can tell what is missing and what came out of turn.
(() => {
  const LAG = 150; // ms; what was said before a click reaches the recorder until then
  const PATIENCE = 5000; // ms; after that, Stop stops, whatever is missing
  const BETWEEN = 50; // ms between two chunks: two at once would be one change of the component's value
  const PUNCTUAL = 60; // chunks among which the most punctual tells when the recording began

  const uploadBegan = new Map(); // of a chunk, by its path on the server; ms
  const streams = new Map(); // by name of the microphone

  const told = ({ take, chunks }) => ({ take, chunks });
  const NO_TAKE = { take: 0, chunks: 0 }; // of no recording

  window.microphones = {
    // A recording begins; chunks of so many milliseconds will come.
    begin: (name, pace) => {
      streams.set(name, { take: Date.now(), since: performance.now(), chunks: 0, until: 0, pace, begins: [] });
      return told(streams.get(name));
    },
    // Which recording it is, and how many chunks of it were handed over.
    sent: (name) => (streams.has(name) ? told(streams.get(name)) : null),
    // A chunk is handed over: it, and the same with it counted. One of the recording before is not heard, but deleted.
    handOver: (name, chunk) => {
      const handed = streams.get(name);
      if (!chunk || !handed) return [chunk, NO_TAKE];
      const began = uploadBegan.get(chunk.path) ?? performance.now();
      uploadBegan.delete(chunk.path);
      if (began < handed.since) return [chunk, NO_TAKE];
      handed.chunks++;
      // A busy browser is late to cut and upload a chunk, so the time of its upload says only when it ended at the latest.
      // Counted from the beginning, as the most punctual chunks tell it, chunks have ended every `pace`.
      handed.begins = [...handed.begins, began - handed.pace * handed.chunks].slice(-PUNCTUAL);
      handed.until = Math.min(...handed.begins) + handed.pace * handed.chunks;
      return [chunk, told(handed)];
    },
  };

  // An upload begins when a chunk was recorded to its end. Uploads overtake each other; their answers must not.
  const fetch = window.fetch.bind(window);
  const isChunk = (body) => body instanceof FormData && body.getAll("files").some((file) => file.name === "audio.wav");
  let turn = Promise.resolve();
  window.fetch = async (resource, options) => {
    if (!isChunk(options?.body)) return fetch(resource, options);
    const now = performance.now();
    const before = turn;
    let done;
    turn = new Promise((resolve) => (done = resolve));
    try {
      const response = await fetch(resource, options);
      await before;
      if (response.ok) for (const path of await response.clone().json()) uploadBegan.set(path, now);
      return response;
    } finally {
      before.then(() => setTimeout(done, BETWEEN));
    }
  };

  const STOP = ".stop-button, .spinner-button";
  const finishing = new WeakSet();
  const released = new WeakSet();
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  const stop = async (event) => {
    const button = event.target.closest?.(STOP);
    const microphone = button?.closest("[id^='mic-']");
    if (!microphone || released.has(button)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (finishing.has(button)) return;
    finishing.add(button);
    button.setAttribute("aria-busy", "true");
    Object.assign(button.style, { opacity: 0.6, cursor: "progress", width: "auto", paddingRight: "12px" });
    button.lastChild.textContent = "Finishing";
    const clicked = performance.now();
    const name = microphone.id.slice("mic-".length);
    while ((streams.get(name)?.until ?? 0) < clicked + LAG && performance.now() < clicked + PATIENCE) await wait(20);
    const now = microphone.querySelector(STOP);
    if (!now) return;
    released.add(now);
    now.click();
  };
  document.addEventListener("click", stop, true); // Enter and Space come as clicks too
})();
