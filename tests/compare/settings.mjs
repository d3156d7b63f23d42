// One model under several settings of Hotset, in interleaved rounds: decode tok/s of each and its ratio to the first.
// Started by ./settings. What is measured and how: README.md.
import {execFileSync} from "node:child_process";
import path from "node:path";
import {fileURLToPath} from "node:url";
import {parseArgs} from "node:util";

const here = path.dirname(fileURLToPath(import.meta.url));
const hotset = path.resolve(here, "../../build/release/hotset");

const optionTable = {
    model: {type: "string", default: "", help: "a .gguf file; the shipped model without it"},
    common: {type: "string", default: "", help: "options of every run, as for hotset bench"},
    rounds: {type: "string", default: "7", help: "rounds, each one run of every setting"},
    prompt: {type: "string", default: "64", help: "prompt tokens"},
    tokens: {type: "string", default: "128", help: "tokens to decode"},
    help: {type: "boolean", default: false, help: "print this"}
};

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

function printHelp() {
    process.stdout.write("Usage: tests/compare/settings [options] 'NAME: OPTIONS' 'NAME: OPTIONS'...\n");
    for (const [name, {help, default: value}] of Object.entries(optionTable)) {
        process.stdout.write(`  --${name.padEnd(8)} ${help}${value ? ` [${value}]` : ""}\n`);
    }
}

function parseSetting(text) {
    const colon = text.indexOf(":");
    if (colon < 1) throw new Error(`setting '${text}' is not 'NAME: OPTIONS'`);
    return {name: text.slice(0, colon), options: text.slice(colon + 1).split(" ").filter(Boolean), decode: [], hits: []};
}

function measure(setting, values) {
    const words = ["bench", ...(values.model ? [values.model] : []), "--prompt-tokens", values.prompt, "--gen-tokens", values.tokens,
        "--reps", "1", "--json", ...values.common.split(" ").filter(Boolean), ...setting.options];
    const result = JSON.parse(execFileSync(hotset, words, {stdio: ["ignore", "pipe", "inherit"]}));
    return {decode: result.decode_tokens_per_second.median, hits: result.decode_hit_rate};
}

function main() {
    const {values, positionals} = parseArgs({options: optionTable, allowPositionals: true});
    if (values.help || positionals.length === 0) return printHelp();
    const settings = positionals.map(parseSetting);
    const rounds = Number(values.rounds);
    for (const setting of settings) measure(setting, values);
    for (let round = 0; round < rounds; ++round) {
        // Who goes first alternates, for a machine may get slower or faster meanwhile.
        for (const setting of round % 2 ? [...settings].reverse() : settings) {
            const {decode, hits} = measure(setting, values);
            setting.decode.push(decode);
            setting.hits.push(hits);
        }
    }
    for (const {name, decode, hits} of settings) {
        const ratios = decode.map((value, round) => value / settings[0].decode[round]);
        process.stdout.write(`${name.padEnd(12)} ${median(decode).toFixed(1).padStart(8)} tok/s (${Math.min(...decode).toFixed(1)} .. ` +
            `${Math.max(...decode).toFixed(1)})  hits ${(median(hits) * 100).toFixed(1)} %  to ${settings[0].name}: ${median(ratios).toFixed(3)}\n`);
    }
}

try {
    main();
} catch (error) {
    process.stderr.write(`settings: ${error.message}\n`);
    process.exit(1);
}
