// Hotset and llama.cpp side by side: same file, same device, interleaved rounds; prints medians and ratios.
// Started by ./run, which installs what it needs. What is measured and how: README.md.
import {execFile, fork} from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import {fileURLToPath} from "node:url";
import {parseArgs, promisify} from "node:util";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, "../..");

const optionTable = {
    model: {type: "string", help: "GGUF file (default: the shipped model)"},
    backend: {type: "string", default: "vulkan", help: "llama.cpp's backend: vulkan, cpu (of both) or cuda"},
    rounds: {type: "string", default: "5", help: "rounds, each one run of both"},
    "prompt-tokens": {type: "string", default: "128", help: "tokens of the prompt"},
    "gen-tokens": {type: "string", default: "64", help: "tokens decoded one by one"},
    threads: {type: "string", default: String(os.availableParallelism()), help: "CPU threads of llama.cpp; with --backend cpu of both"},
    batch: {type: "string", default: "512", help: "llama.cpp's batch; 1 spares its prefill shaders (see README.md)"},
    "flash-attention": {type: "string", default: "auto", help: "llama.cpp's flash attention: on, off or auto"},
    device: {type: "string", help: "Vulkan device number for both"},
    hotset: {type: "string", default: path.join(root, "build/release/hotset"), help: "the program"},
    "hotset-args": {type: "string", default: "", help: "further arguments for hotset bench, parted by spaces"},
    only: {type: "string", help: "measure one side: hotset or llama"},
    "warm-up-s": {type: "string", default: "3600", help: "longest wait for llama.cpp's warm-up"},
    json: {type: "boolean", default: false, help: "print one JSON object"},
    help: {type: "boolean", default: false, help: "print this"}
};

class UsageError extends Error {}

function fail(message, code = 1) {
    process.stderr.write(`compare: ${message}\n`);
    process.exit(code);
}

function defaultModel() {
    return [path.join(root, "models/storyteller-35m-q4_k_m.gguf")].find((file) => fs.existsSync(file));
}

function readOptions() {
    const options = Object.fromEntries(
        Object.entries(optionTable).map(([name, {help, ...option}]) => [name, option])
    );
    let values;
    try {
        values = parseArgs({options}).values;
    } catch (error) {
        throw new UsageError(error.message);
    }
    for (const name of ["rounds", "prompt-tokens", "gen-tokens", "threads", "batch", "warm-up-s"]) {
        values[name] = Number(values[name]);
        if (!Number.isInteger(values[name]) || values[name] < 1) throw new UsageError(`--${name} is a number from 1`);
    }
    const oneOf = (name, list) => {
        if (values[name] != null && !list.includes(values[name])) {
            throw new UsageError(`--${name} is one of ${list.join(", ")}`);
        }
    };
    oneOf("backend", ["vulkan", "cpu", "cuda"]);
    oneOf("flash-attention", ["on", "off", "auto"]);
    oneOf("only", ["hotset", "llama"]);
    if (values.backend === "cpu" && values.device != null) throw new UsageError("--device has no meaning with --backend cpu");
    values.model ??= defaultModel();
    if (!values.help && (values.model == null || !fs.existsSync(values.model))) {
        throw new UsageError(`no model: ${values.model ?? "give --model FILE"}`);
    }
    return values;
}

function printHelp() {
    process.stdout.write("Usage: tests/compare/run [--model FILE] [options]\n");
    for (const [name, {help, default: value}] of Object.entries(optionTable)) {
        const shown = value == null || value === "" || value === false ? "" : ` [${value}]`;
        process.stdout.write(`  --${name.padEnd(16)} ${help}${shown}\n`);
    }
}

// --- the two sides: each has start(), measure() and describe() -------------------------------------------------

class Llama {
    constructor(options) {
        this.options = options;
        this.env = {...process.env};
        // llama.cpp passes over devices that are CPUs unless a list names them; a list of one also pins the device.
        if (options.backend === "vulkan") this.env.GGML_VK_VISIBLE_DEVICES ??= options.device ?? "0";
    }

    async start() {
        const {options} = this;
        const settings = {
            model: path.resolve(options.model), backend: options.backend, threads: options.threads,
            batch: Math.min(options.batch, options["prompt-tokens"]),
            flashAttention: {on: true, off: false, auto: "auto"}[options["flash-attention"]],
            promptTokens: options["prompt-tokens"], genTokens: options["gen-tokens"], seed: 1
        };
        this.worker = fork(path.join(here, "llama_worker.mjs"), [JSON.stringify(settings)],
            {env: this.env, stdio: ["ignore", "ignore", "inherit", "ipc"]});
        const timer = setTimeout(() => this.worker.kill("SIGKILL"), options["warm-up-s"] * 1e3);
        this.ready = (await this.reply()).ready;
        clearTimeout(timer);
        if (options.backend !== "cpu" && this.ready.backend !== options.backend) {
            throw new Error(`llama.cpp runs on ${this.ready.backend}, not on ${options.backend}`);
        }
    }

    reply() {
        return new Promise((resolve, reject) => {
            const finish = (action, value) => {
                this.worker.off("message", onMessage);
                this.worker.off("exit", onExit);
                action(value);
            };
            const onMessage = (message) => message.error
                ? finish(reject, new Error(`llama.cpp: ${message.error}`)) : finish(resolve, message);
            const onExit = (code, signal) => finish(reject,
                new Error(`llama.cpp ended (${signal ?? code}); with SIGKILL its warm-up took longer than --warm-up-s`));
            this.worker.on("message", onMessage);
            this.worker.on("exit", onExit);
        });
    }

    async measure() {
        this.worker.send({round: true});
        return (await this.reply()).result;
    }

    describe() {
        const settings = JSON.parse(fs.readFileSync(path.join(here, "node_modules/node-llama-cpp/package.json")));
        const visible = this.options.backend === "vulkan" ? `GGML_VK_VISIBLE_DEVICES=${this.env.GGML_VK_VISIBLE_DEVICES} ` : "";
        return {...this.ready, version: `llama.cpp ${this.ready.release} (node-llama-cpp ${settings.version})`,
            device: this.ready.devices.join(", ") || os.cpus()[0].model, command: `${visible}llama_worker.mjs`};
    }

    stop() {
        this.worker?.kill();
    }
}

class Hotset {
    constructor(options) {
        this.program = options.hotset;
        this.args = ["bench", path.resolve(options.model), "--prompt-tokens", String(options["prompt-tokens"]),
            "--gen-tokens", String(options["gen-tokens"]), "--reps", "1", "--json",
            ...(options.backend === "cpu" ? ["--device", "cpu", "--threads", String(options.threads)]
                : options.device == null ? [] : ["--device", options.device]),
            ...options["hotset-args"].split(" ").filter(Boolean)];
    }

    async start() {
        if (!fs.existsSync(this.program)) {
            throw new Error(`no program at ${this.program}; build it (cmake --build --preset release --target hotset) ` +
                "or use --only llama");
        }
        await this.measure();  // fills the pipeline cache and the page cache
    }

    async measure() {
        let output;
        try {
            output = await promisify(execFile)(this.program, this.args, {maxBuffer: 1 << 26});
        } catch (error) {
            throw new Error(`hotset bench failed (${error.code ?? error.signal}): ${String(error.stderr).trim()}`);
        }
        let figures;
        try {
            figures = JSON.parse(output.stdout);
        } catch {
            throw new Error("hotset bench printed no JSON");
        }
        for (const key of ["prefill_tokens_per_second", "decode_tokens_per_second"]) {
            if (typeof figures[key]?.median !== "number") throw new Error(`hotset bench printed no ${key}.median`);
        }
        this.last = figures;
        return {prefill_tok_s: figures.prefill_tokens_per_second.median, decode_tok_s: figures.decode_tokens_per_second.median,
            ttft_ms: figures.first_token_ms?.median};
    }

    async describe() {
        const version = await promisify(execFile)(this.program, ["--version"]).then(
            ({stdout}) => stdout.trim(), () => "version unknown");
        const device = typeof this.last?.device === "string" ? this.last.device : this.last?.device?.name;
        return {version, device: device ?? "device unknown", hit_rate: this.last?.hit_rate,
            command: [this.program, ...this.args].join(" ")};
    }

    stop() {}
}

// --- report ------------------------------------------------------------------------------------------------------

function summary(rounds, key) {
    const sorted = rounds.map((round) => round[key]).sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    return {median, min: sorted[0], max: sorted.at(-1)};
}

function sideReport(description, rounds) {
    return {...description, prefill_tok_s: summary(rounds, "prefill_tok_s"), decode_tok_s: summary(rounds, "decode_tok_s"),
        ttft_ms: summary(rounds, "ttft_ms"), rounds};
}

function printText(report) {
    const figure = (value) => value.toPrecision(value >= 1000 ? 5 : 4).padStart(8);
    const row = (name, {median, min, max}) => `  ${name.padEnd(10)}${figure(median)}  (${figure(min)} .. ${figure(max)})`;
    const print = (line) => process.stdout.write(line + "\n");
    print(`model ${report.model}; ${report.prompt_tokens} prompt + ${report.gen_tokens} decoded tokens; ` +
        `${report.rounds} rounds; tok/s as median (min .. max)`);
    for (const side of ["hotset", "llama"]) {
        if (!report[side]) continue;
        print(`${report[side].version} on ${report[side].device}`);
        print(`  ${report[side].command}`);
        if (side === "llama") {
            print(`  backend ${report.llama.backend}, batch ${report.llama.batch}, ${report.llama.threads} threads, ` +
                `flash attention ${report.llama.flash_attention}, warm-up ${(report.llama.warm_up_ms / 1e3).toFixed(1)} s`);
        }
        print(row("prefill", report[side].prefill_tok_s));
        print(row("decode", report[side].decode_tok_s));
    }
    if (report.ratio) {
        print(`hotset/llama.cpp: prefill ${report.ratio.prefill.toFixed(2)}, decode ${report.ratio.decode.toFixed(2)}`);
    }
    for (const warning of report.warnings) print(`warning: ${warning}`);
}

function warningsFor(report) {
    const warnings = [];
    const onCpu = (side) => side.device.startsWith("CPU");
    if (report.hotset && report.llama && report.llama.backend === "cpu") {
        if (!onCpu(report.hotset)) warnings.push(`llama.cpp runs on the CPU, hotset on ${report.hotset.device}`);
    } else if (report.hotset && report.llama && report.llama.backend !== "vulkan") {
        warnings.push(`hotset runs on Vulkan, llama.cpp on ${report.llama.backend}`);
    } else if (report.hotset && report.llama && !report.llama.device.includes(report.hotset.device)
        && !report.hotset.device.includes(report.llama.device)) {
        warnings.push("the two name different devices; choose one with --device");
    }
    if (report.llama && report.llama.batch < report.prompt_tokens && report.llama.batch < 512) {
        warnings.push(`llama.cpp's prefill was held to batches of ${report.llama.batch}`);
    }
    return warnings;
}

async function compare(options) {
    const sides = {};
    if (options.only !== "llama") sides.hotset = new Hotset(options);
    if (options.only !== "hotset") sides.llama = new Llama(options);
    const rounds = {hotset: [], llama: []};
    try {
        for (const [name, side] of Object.entries(sides)) {
            process.stderr.write(`compare: warming up ${name}${name === "llama" && options.backend !== "cpu"
                ? " (the first time, compiling its shaders can take many minutes on a software device)" : ""}\n`);
            await side.start();
        }
        for (let round = 0; round < options.rounds; ++round) {
            for (const [name, side] of Object.entries(sides)) rounds[name].push(await side.measure());
        }
        const report = {model: options.model, prompt_tokens: options["prompt-tokens"],
            gen_tokens: options["gen-tokens"], rounds: options.rounds};
        for (const [name, side] of Object.entries(sides)) report[name] = sideReport(await side.describe(), rounds[name]);
        if (report.hotset && report.llama) {
            const ratio = (key) => report.hotset[key].median / report.llama[key].median;
            report.ratio = {prefill: ratio("prefill_tok_s"), decode: ratio("decode_tok_s")};
        }
        return {...report, warnings: warningsFor(report)};
    } finally {
        for (const side of Object.values(sides)) side.stop();
    }
}

try {
    const options = readOptions();
    if (options.help) {
        printHelp();
    } else {
        const report = await compare(options);
        if (options.json) process.stdout.write(JSON.stringify(report, null, 2) + "\n");
        else printText(report);
    }
} catch (error) {
    fail(error.message, error instanceof UsageError ? 2 : 1);
}
