// The llama.cpp side of the comparison: loads one model once and answers each {round} message with one
// measurement. A process of its own, so that the parent stays free of llama.cpp's libraries and threads, and one
// that lives through all rounds, because on some drivers the first use of its shaders costs minutes.
//
// In: one JSON object in argv[2]: model, backend (vulkan|cpu|cuda), threads, batch, flashAttention (true|false|"auto"),
// promptTokens, genTokens, seed. Out, over IPC: {ready}, then {result} for each round; {error} ends it.
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const settings = JSON.parse(process.argv[2]);

// A small fixed generator: the same ids in every round and on every machine.
function tokenIds(count, vocabulary, seed) {
    let state = seed >>> 0;
    return Array.from({length: count}, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor(state / 2 ** 32 * vocabulary);
    });
}

async function load() {
    const llama = await getLlama({
        gpu: settings.backend === "cpu" ? false : settings.backend,
        build: "never",
        skipDownload: true,
        progressLogs: false,
        maxThreads: 0,
        vramPadding: 0,
        logLevel: LlamaLogLevel.error
    });
    const started = performance.now();
    // A synthetic or damaged estimate must not move layers to the CPU: everything on the device or nothing.
    const model = await llama.loadModel({
        modelPath: settings.model,
        gpuLayers: settings.backend === "cpu" ? 0 : "max",
        ignoreMemorySafetyChecks: true
    });
    const loadMs = performance.now() - started;
    const context = await model.createContext({
        contextSize: settings.promptTokens + settings.genTokens + 16,
        batchSize: settings.batch,
        threads: {ideal: settings.threads, min: settings.threads},
        flashAttention: settings.flashAttention,
        sequences: 1,
        ignoreMemorySafetyChecks: true
    });
    return {llama, model, context, loadMs};
}

// Time to the first token covers the whole prompt and one sampling step: llama.cpp queues device work and only
// the wait for logits proves that it is done. Decode is greedy, one token a call.
async function measure(model, context, {promptTokens, genTokens}) {
    const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
    const sequence = context.getSequence();
    try {
        const prompt = tokenIds(promptTokens, vocabulary, settings.seed);
        const tokens = sequence.evaluate(prompt, {temperature: 0, yieldEogToken: true});
        const start = performance.now();
        await tokens.next();
        const first = performance.now();
        const cpuStart = process.cpuUsage();
        for (let i = 0; i < genTokens; ++i) await tokens.next();
        const end = performance.now();
        const cpu = process.cpuUsage(cpuStart);
        await tokens.return();
        return {
            prefill_tok_s: promptTokens / (first - start) * 1e3,
            decode_tok_s: genTokens / (end - first) * 1e3,
            ttft_ms: first - start,
            decode_cpu_s: (cpu.user + cpu.system) / 1e6 / genTokens
        };
    } finally {
        sequence.dispose();
    }
}

async function main() {
    const {llama, model, context, loadMs} = await load();
    const started = performance.now();
    // Every shape that will be timed runs once before; two decoded tokens compile what decode needs.
    await measure(model, context, {promptTokens: settings.promptTokens, genTokens: 2});
    process.send({ready: {
        release: llama.llamaCppRelease.release,
        backend: llama.gpu === false ? "cpu" : llama.gpu,
        devices: await llama.getGpuDeviceNames(),
        gpu_layers: model.gpuLayers,
        threads: context.currentThreads || settings.threads,
        batch: context.batchSize,
        flash_attention: context.flashAttention,
        load_ms: loadMs,
        warm_up_ms: performance.now() - started
    }});
    process.on("message", async () => {
        try {
            process.send({result: await measure(model, context, settings)});
        } catch (error) {
            process.send({error: String(error?.message ?? error)});
        }
    });
}

main().catch((error) => {
    process.send({error: String(error?.message ?? error)});
    process.disconnect();
});
