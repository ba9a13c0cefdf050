/** What the makers of GPUs say of them, for projections where none is at hand. */

export interface DeviceProfile {
  readonly name: string;
  /** matrix products, dense: without the sparsity that data sheets double their numbers by */
  readonly bf16TeraflopsPerSecond: number;
  /** the same on plain float32 units, without TF32 */
  readonly float32TeraflopsPerSecond: number;
  readonly memoryGigabytesPerSecond: number;
  /** what a program gets of it */
  readonly memoryBytes: number;
  /** of the peaks above, by programs that do nothing else */
  readonly reached: { readonly flopShare: number; readonly bandwidthShare: number; readonly measured: boolean };
  readonly source: string;
}

export const DEVICE_PROFILES = {
  l4: {
    name: "L4",
    bf16TeraflopsPerSecond: 121,
    float32TeraflopsPerSecond: 30.3,
    memoryGigabytesPerSecond: 300,
    memoryBytes: 22.5e9,
    reached: { flopShare: 0.6, bandwidthShare: 0.8, measured: false },
    source:
      "NVIDIA L4 Tensor Core GPU datasheet (242 TFLOP/s bf16 with sparsity, 24 GB); 22.5 GB usable as the competition's notebooks see it",
  },
  h100: {
    name: "H100",
    bf16TeraflopsPerSecond: 989,
    float32TeraflopsPerSecond: 67,
    memoryGigabytesPerSecond: 3350,
    memoryBytes: 80e9,
    /** a product of 8192 x 8192 random numbers in bf16 by cuBLAS, 769 TFLOP/s; a copy within its memory, 2916 GB/s */
    reached: { flopShare: 0.78, bandwidthShare: 0.87, measured: true },
    source: "NVIDIA H100 Tensor Core GPU datasheet, SXM (1979 TFLOP/s bf16 with sparsity, 80 GB)",
  },
} as const satisfies Record<string, DeviceProfile>;

export type DeviceName = keyof typeof DEVICE_PROFILES;
export const DEVICES = Object.keys(DEVICE_PROFILES) as DeviceName[];
