import { Axis } from './affine';
import { Plane } from './plane';
import { VolumeInfo } from '../generated/types';

/** Where planes come from: a server by REST, or a kernel by messages. */
export interface SliceSource {
  readonly info: VolumeInfo;

  /**
   * The voxels whose index along `axis` is `index`, row by row; the other two axes stay in their order.
   *
   * Rejects when `signal` aborts it, and with an error whose message can be shown when there are none.
   */
  plane(axis: Axis, index: number, signal: AbortSignal): Promise<Plane>;

  /** Lets go of what the source holds. */
  dispose(): void;
}
