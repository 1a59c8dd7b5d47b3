// What Gradio's streaming microphone loses, kept: a recording begun too soon, the words before Stop, the order of the chunks.
//
// The component asks for its recorder when it is shown; where Record is pressed before that has come, nothing is recorded.
// Here its scripts are fetched soon after the page, and a click on Record is held back until it can record.
// At Stop the component drops the chunk that is being recorded and what is still being uploaded. Here a click on Stop is
// held back until the chunk that contains it has been handed to the page; only then does the component get it.
// Each chunk is numbered as it is handed over, so that the server can tell what is missing and what came out of turn.
(() => {
  const IDLE = 1000; // ms; by then the page has come, which the recorder's scripts would delay
  const LAG = 150; // ms; what was said before a click reaches the recorder until then
  const PATIENCE = 5000; // ms; after that, Record records and Stop stops, whatever is missing
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

  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const microphoneOf = (button) => button?.closest("[id^='mic-']");
  const hold = (event, button) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    button.setAttribute("aria-busy", "true");
    Object.assign(button.style, { opacity: 0.6, cursor: "progress" });
  };

  let recorder; // once it has come; null where there is none to wait for
  wait(IDLE)
    .then(() => Promise.all(window.recorder.map((name) => import(`./assets/${name}`))))
    .then((scripts) => (recorder = scripts.find((script) => script.MediaRecorder)?.MediaRecorder ?? null))
    .catch(() => (recorder = null));
  const canRecord = () => recorder === null || recorder?.isTypeSupported("audio/wav");
  const held = new WeakSet();

  const record = async (event) => {
    const button = event.target.closest?.(".record-button");
    if (!microphoneOf(button) || canRecord()) return;
    hold(event, button);
    if (held.has(button)) return;
    held.add(button);
    const clicked = performance.now();
    while (!canRecord() && performance.now() < clicked + PATIENCE) await wait(20);
    if (!canRecord()) recorder = null;
    held.delete(button);
    button.removeAttribute("aria-busy");
    Object.assign(button.style, { opacity: "", cursor: "" });
    button.click();
  };

  const STOP = ".stop-button, .spinner-button";
  const finishing = new WeakSet();
  const released = new WeakSet();

  const stop = async (event) => {
    const button = event.target.closest?.(STOP);
    const microphone = microphoneOf(button);
    if (!microphone || released.has(button)) return;
    hold(event, button);
    if (finishing.has(button)) return;
    finishing.add(button);
    Object.assign(button.style, { width: "auto", paddingRight: "12px" });
    button.lastChild.textContent = window.say("Finishing");
    const clicked = performance.now();
    const name = microphone.id.slice("mic-".length);
    while ((streams.get(name)?.until ?? 0) < clicked + LAG && performance.now() < clicked + PATIENCE) await wait(20);
    const now = microphone.querySelector(STOP);
    if (!now) return;
    released.add(now);
    now.click();
  };
  for (const click of [record, stop]) document.addEventListener("click", click, true); // Enter and Space come as clicks too
})();
