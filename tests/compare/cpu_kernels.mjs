// Hotset's CPU kernels and llama.cpp's on one thread: GB/s of weights on synthetic models of one type each, in interleaved
// rounds. Started by ./cpu_kernels. What is measured and how: README.md.
import {execFileSync, fork, spawn} from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import {fileURLToPath} from "node:url";
import {parseArgs} from "node:util";

const here = path.dirname(fileURLToPath(import.meta.url));
const build = path.resolve(here, "../../build/release");

const optionTable = {
    types: {type: "string", default: "Q4_K,Q6_K,Q8_0,MXFP4", help: "block types, one model each"},
    rounds: {type: "string", default: "7", help: "rounds, each one run of both"},
    tokens: {type: "string", default: "32", help: "tokens of a run"},
    layers: {type: "string", default: "6", help: "layers of the models"},
    folder: {type: "string", default: os.tmpdir(), help: "where the models are made; they are removed at the end"},
    json: {type: "boolean", default: false, help: "print one JSON object a type"},
    help: {type: "boolean", default: false, help: "print this"}
};

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

function printHelp() {
    process.stdout.write("Usage: tests/compare/cpu_kernels [options]\n");
    for (const [name, {help, default: value}] of Object.entries(optionTable)) {
        process.stdout.write(`  --${name.padEnd(10)} ${help}${value ? ` [${value}]` : ""}\n`);
    }
}

// Wide layers and next to no vocabulary, so that a token is matrix products; llama.cpp has no MXFP4 but for experts.
function makeModel(type, file, layers) {
    const dense = type === "MXFP4" ? "Q8_0" : type;
    execFileSync(path.join(build, "hotset_make_model"), ["-o", file, "--layers", layers, "--embd", "2048", "--heads", "16",
        "--kv-heads", "2", "--head-dim", "64", "--experts", "64", "--used", "8", "--expert-ff", "1024", "--vocab", "512",
        "--type", dense, "--embd-type", dense, "--output-type", dense, "--expert-type", type, "--down-type", type],
    {stdio: ["ignore", "ignore", "inherit"]});
}

class Hotset {
    async start(file) {
        this.child = spawn(path.join(build, "hotset_cpu_model_bench"), [file], {stdio: ["pipe", "pipe", "inherit"]});
        this.lines = readline.createInterface({input: this.child.stdout})[Symbol.asyncIterator]();
        this.kernels = (await this.reply()).kernels;
    }

    async reply() {
        const {value, done} = await this.lines.next();
        if (done) throw new Error("hotset_cpu_model_bench ended");
        return JSON.parse(value);
    }

    // Processor seconds and bytes of weights a token.
    async measure(tokens) {
        this.child.stdin.write(`${tokens}\n`);
        const result = await this.reply();
        return {seconds: result.cpu_s / result.tokens, bytes: result.bytes_per_token};
    }

    stop() {
        this.child?.kill();
    }
}

class Llama {
    async start(file, tokens) {
        const settings = {model: file, backend: "cpu", threads: 1, batch: 8, flashAttention: "auto", promptTokens: 8, genTokens: tokens, seed: 1};
        this.worker = fork(path.join(here, "llama_worker.mjs"), [JSON.stringify(settings)], {stdio: ["ignore", "ignore", "inherit", "ipc"]});
        this.release = (await this.reply()).ready.release;
    }

    reply() {
        return new Promise((resolve, reject) => {
            this.worker.once("message", (message) => message.error ? reject(new Error(`llama.cpp: ${message.error}`)) : resolve(message));
            this.worker.once("exit", (code, signal) => reject(new Error(`llama.cpp ended (${signal ?? code})`)));
        });
    }

    async measure() {
        this.worker.send({round: true});
        return {seconds: (await this.reply()).result.decode_cpu_s};
    }

    stop() {
        this.worker?.removeAllListeners("exit");
        this.worker?.kill();
    }
}

async function compare(type, options) {
    const file = path.join(options.folder, `hotset-cpu-kernels-${process.pid}-${type}.gguf`);
    const hotset = new Hotset(), llama = new Llama();
    try {
        makeModel(type, file, options.layers);
        await hotset.start(file);
        await llama.start(file, options.tokens);
        const rates = {hotset: [], llama: [], ratio: []};
        for (let round = 0; round < options.rounds; ++round) {
            const ours = await hotset.measure(options.tokens), theirs = await llama.measure();
            rates.hotset.push(ours.bytes / ours.seconds / 1e9);
            rates.llama.push(ours.bytes / theirs.seconds / 1e9);
            rates.ratio.push(theirs.seconds / ours.seconds);
        }
        return {type, kernels: hotset.kernels, release: llama.release, rates};
    } finally {
        hotset.stop();
        llama.stop();
        fs.rmSync(file, {force: true});
    }
}

function print({type, kernels, release, rates}, first) {
    if (first) process.stdout.write(`GB/s of weights, one thread, by processor time; ${kernels} and llama.cpp ${release}\n` +
        "type     hotset  llama.cpp   ratio  (lowest .. highest)\n");
    const shown = (value) => value.toFixed(2);
    process.stdout.write(`${type.padEnd(7)} ${shown(median(rates.hotset)).padStart(7)} ${shown(median(rates.llama)).padStart(10)} ` +
        `${shown(median(rates.ratio)).padStart(7)}  (${shown(Math.min(...rates.ratio))} .. ${shown(Math.max(...rates.ratio))})\n`);
}

async function main() {
    const options = parseArgs({options: Object.fromEntries(Object.entries(optionTable).map(([name, {help, ...rest}]) => [name, rest]))}).values;
    if (options.help) return printHelp();
    for (const name of ["rounds", "tokens", "layers"]) {
        if (!/^[1-9]\d*$/.test(options[name])) throw new Error(`--${name} is a number from 1`);
    }
    options.rounds = Number(options.rounds);
    options.tokens = Number(options.tokens);
    for (const [index, type] of options.types.split(",").entries()) {
        const result = await compare(type, options);
        if (options.json) process.stdout.write(JSON.stringify(result) + "\n");
        else print(result, index === 0);
    }
}

main().catch((error) => {
    process.stderr.write(`cpu_kernels: ${error.message}\n`);
    process.exit(1);
});
