import { Axis } from './affine';
import { VolumeInfo } from '../generated/types';

export type Voxels = Int16Array | Int32Array | Float32Array;

/** Where planes come from: a server by REST, or a kernel by messages. */
export interface SliceSource {
  readonly info: VolumeInfo;

  /**
   * The voxels whose index along `axis` is `index`, row by row; the other two axes stay in their order.
   *
   * Rejects when `signal` aborts it, and with an error whose message can be shown when there are none.
   */
  plane(axis: Axis, index: number, signal: AbortSignal): Promise<Voxels>;

  /** Lets go of what the source holds. */
  dispose(): void;
}

/** Bytes of a plane as numbers. */
export function voxelsOf(
  bytes: ArrayBuffer,
  dtype: VolumeInfo['dtype']
): Voxels {
  switch (dtype) {
    case 'int16':
      return new Int16Array(bytes);
    case 'int32':
      return new Int32Array(bytes);
    case 'float32':
      return new Float32Array(bytes);
  }
}
