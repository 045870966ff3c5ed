// Runs the models beside the page. It is told { model, config, weights }, { race } or { stop }, and
// answers { race, name, ... } with a frame, a step of the first text, or with a whole text.
import { kit } from "./kit.js";
import { network } from "./networks.js";
import { SAMPLERS } from "./samplers.js";

const models = new Map(); // path -> model
let current = null; // the race that is on

const moment = () => new Promise((resolve) => setTimeout(resolve));

// The model that has computed least goes on, until each has written its first text. One that is
// done before the others writes further texts meanwhile. A model joins when its weights are here.
async function run(race) {
  const racers = [], coming = [...race.models.entries()];
  let rested = performance.now();
  for (;;) {
    if (current !== race.id) return;
    while (coming.length && models.has(coming[0][1].path)) racers.push(racer(race, ...coming.shift()));
    if (!coming.length && racers.every(({ texts }) => texts > 0)) break;
    const able = racers.filter(({ texts }) => !coming.length || texts === 0);
    if (able.length) step(race, able.reduce((a, b) => (a.positions <= b.positions ? a : b)));
    if (!able.length || performance.now() - rested > 20) {
      await moment();
      rested = performance.now();
    }
  }
}

function racer(race, number, { name, path }) {
  const model = models.get(path), random = kit.random(race.seed + 1000 * number);
  const begin = () => SAMPLERS[name](model, race.given, { ...race, random });
  return { name, begin, writes: begin(), positions: 0, calls: 0, texts: 0 };
}

function step(race, one) {
  const { value, done } = one.writes.next();
  const said = { race: race.id, name: one.name };
  if (!done) {
    one.positions += value.positions;
    one.calls += value.positions > 0;
    one.text = value.text;
    const { positions, calls } = one;
    if (one.texts === 0) postMessage({ ...said, frame: { ...value, positions, calls } });
    return;
  }
  postMessage({ ...said, text: one.text, further: one.texts > 0 });
  one.texts += 1;
  one.writes = one.begin();
}

onmessage = ({ data }) => {
  if (data.model) {
    const { vocab_size: V, block_length: blockLength = 8 } = data.config.recipe;
    models.set(data.model, { net: network(data.config, data.weights), V, blockLength });
    return;
  }
  current = data.race ? data.race.id : null;
  if (data.race) run(data.race);
};
