// What the module exports. All pointers are byte offsets into the shared memory, all counts are of floats.
export { attend, attendGrad, attendScratch } from "./attention";
export { addRmsNorm, addRmsNormGrad, gate, gateGrad } from "./elementwise";
export { batchedGemm, gemmScratch } from "./gemm";
