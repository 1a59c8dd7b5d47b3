// Plays speech while the rest of it is being made: pieces of it, one after another, without a gap and at the level they have.
//
// Runs as a gr.HTML component's own script. Its value is {run, rate, pieces}: all that is made so far, each piece int16 samples in
// base64. Another run begins anew; a value without pieces ends it. Gradio's own streamed output would need the ffmpeg program,
// and would compress what it plays.
const LEAD = 0.05; // s between asking for a sound and its first sample
const button = element.querySelector("button");
const told = element.querySelector("span");
let context = null;
let heard = ""; // the run that is being played
let played = 0; // how many of its pieces
let until = 0; // on the context's clock: where the last piece ends
let silence = 0; // s that playing had to wait for a piece

const samples = (pcm) => {
  const bytes = Uint8Array.from(atob(pcm), (character) => character.charCodeAt(0));
  return Float32Array.from(new Int16Array(bytes.buffer), (sample) => sample / 32768);
};

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

const tell = () => {
  if (!context) return;
  const isOver = context.currentTime >= until;
  button.textContent = window.say(context.state === "running" ? "Pause" : "Play");
  button.hidden = isOver;
  const said = isOver ? "Played {} of {}" : "Playing {} of {}";
  told.textContent = window.say(said, clock(Math.min(context.currentTime, until)), clock(until));
  Object.assign(element.dataset, { played: context.currentTime, made: until, silence });
};

const end = () => {
  context?.close();
  context = null;
  button.hidden = true;
  told.textContent = "";
};

const play = (rate, pcm) => {
  const piece = samples(pcm);
  const buffer = context.createBuffer(1, piece.length, rate);
  buffer.copyToChannel(piece, 0);
  const start = Math.max(until, context.currentTime + LEAD);
  if (played > 0) silence += start - until;
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(context.destination);
  source.start(start);
  until = start + buffer.duration;
  played += 1;
};

const update = ({ run, rate, pieces }) => {
  if (run !== heard) {
    end();
    context = new AudioContext({ sampleRate: rate });
    heard = run;
    until = silence = played = 0;
  }
  if (!context) return;
  for (const pcm of pieces.slice(played)) play(rate, pcm);
  tell();
};

button.addEventListener("click", async () => {
  await (context.state === "running" ? context.suspend() : context.resume());
  tell();
});
watch("value", () => (props.value?.pieces?.length ? update(props.value) : end()));
setInterval(tell, 250);
