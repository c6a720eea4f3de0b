// Runs one of the kiosk's pure modules over cases: `node kiosk_code.mjs MODULE < cases.json`; answers as JSON.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

// The build finds modules without their ending.
registerHooks({ resolve: (name, context, next) => next(/^\.{1,2}\/[^.]+$/.test(name) ? `${name}.ts` : name, context) });

const [module] = process.argv.slice(2);
const code = await import(module);
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const CALLS = {
  sfloat: ([hex]) => code.sfloat(bytes(hex)),
  decode: ([characteristic, packets]) => code.decode(characteristic, packets.map(bytes)),
};
const call = (name, given) => (CALLS[name] ? CALLS[name](given) : code[name](...given));
const answers = JSON.parse(readFileSync(0, "utf8")).map(([name, ...given]) => {
  try {
    return { value: call(name, given) };
  } catch (error) {
    return { error: error.constructor.name };
  }
});
process.stdout.write(JSON.stringify(answers));
