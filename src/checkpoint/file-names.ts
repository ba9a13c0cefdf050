/** The names of a checkpoint's files. */

export const CONFIG_FILE = "config.json";
export const MODEL_FILE = "model.safetensors";
export const MODEL_CARD_FILE = "README.md";
/** Rows of the puzzle embedding: of a training state, or of a checkpoint that keeps them. */
export const EMBEDDINGS_FILE = "embeddings.safetensors";
/** Which puzzle each of the rows stands for. */
export const PUZZLES_FILE = "puzzles.json";
