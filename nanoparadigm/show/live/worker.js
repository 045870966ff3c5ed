// Runs the models beside the page. It is told { race } or { stop } and answers with messages
// { race, name, ... }: a frame (a step of the first text), a whole text, an error, or done.
import { kit } from "./kit.js";
import { network } from "./networks.js";
import { SAMPLERS } from "./samplers.js";

const models = new Map(); // path -> a promise of its model
let current = null;

async function fetched(path, kind) {
  const answer = await fetch(new URL(path, import.meta.url));
  if (!answer.ok) throw new Error(`${path} did not come (${answer.status})`);
  return answer[kind]();
}

async function load(path) {
  const [config, weights] = await Promise.all([
    fetched(`${path}/config.json`, "json"),
    fetched(`${path}/model.safetensors`, "arrayBuffer"),
  ]);
  const { vocab_size: V, block_length: blockLength = 8 } = config.recipe;
  return { net: network(config, weights), V, blockLength };
}

function model(path) {
  if (!models.has(path)) {
    models.set(path, load(path));
    models.get(path).catch(() => models.delete(path)); // what failed may succeed the next time
  }
  return models.get(path);
}

const moment = () => new Promise((resolve) => setTimeout(resolve));

// The models join one after another, so that the first can write while the others are on their way.
async function join(race, racers) {
  for (const [number, { name, path }] of race.models.entries()) {
    const loaded = await model(path), random = kit.random(race.seed + 1000 * number);
    const begin = () => SAMPLERS[name](loaded, race.given, { ...race, random });
    racers.push({ name, begin, writes: begin(), positions: 0, calls: 0, texts: 0 });
  }
}

// The model that has computed least goes on, until each has written its first text. One that is
// done before the others writes further texts meanwhile.
async function run(race) {
  const racers = [];
  join(race, racers).catch((error) => {
    if (current === race.id) current = null;
    postMessage({ race: race.id, error: error.message });
  });
  let rested = performance.now();
  for (;;) {
    if (current !== race.id) return;
    const whole = racers.length === race.models.length;
    if (whole && racers.every((racer) => racer.texts > 0)) break;
    const racer = racers
      .filter((one) => whole || one.texts === 0)
      .reduce((a, b) => (a && a.positions <= b.positions ? a : b), null);
    if (racer) step(race, racer);
    if (!racer || performance.now() - rested > 20) {
      await moment();
      rested = performance.now();
    }
  }
  postMessage({ race: race.id, done: true });
}

function step(race, racer) {
  const { value, done } = racer.writes.next();
  const said = { race: race.id, name: racer.name };
  if (!done) {
    racer.positions += value.positions;
    racer.calls += value.positions > 0;
    racer.text = value.text;
    const { positions, calls } = racer;
    if (racer.texts === 0) postMessage({ ...said, frame: { ...value, positions, calls } });
    return;
  }
  const { text, positions } = racer;
  postMessage({ ...said, text, positions, further: racer.texts > 0 });
  racer.texts += 1;
  racer.writes = racer.begin();
}

onmessage = ({ data }) => {
  current = data.race ? data.race.id : null;
  if (data.race) run(data.race);
};
