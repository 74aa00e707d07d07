import { VolumeInfo } from '../../generated/types';
import { Axis, AXES } from '../affine';
import { JoinedPlanes } from '../joined_planes';
import { Plane } from '../plane';
import { SliceLoader } from '../slice_loader';
import { SliceSource } from '../slice_source';

const SHAPE: [number, number, number] = [60, 40, 50];

/** Numbers from 0 to below 1 that are the same in every run (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A source whose answers take their time, come in any order, now and then fail, and never come for what was given up. */
class UnsteadySource implements SliceSource {
  readonly info = { shape: SHAPE, dtype: 'int16' } as VolumeInfo;

  constructor(private readonly _random: () => number) {}

  async plane(axis: Axis, index: number, signal: AbortSignal): Promise<Plane> {
    const bytes = await this._joined.plane({ axis, index }, signal);
    return new Plane(new Int16Array(bytes));
  }

  dispose(): void {
    // holds nothing
  }

  private readonly _joined = new JoinedPlanes(
    (places, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('cancelled')));
        setTimeout(
          () =>
            this._random() < 0.1
              ? reject(new Error('lost on the way'))
              : resolve(
                  places.map(
                    ({ axis, index }) => Int16Array.of(axis, index).buffer
                  )
                ),
          this._random() * 4
        );
      })
  );
}

test.each([1, 2, 3, 4, 5, 6])(
  'whatever is wished for comes in the end, however wishes follow each other (%s)',
  async seed => {
    const random = randomNumbers(seed);
    const position: [number, number, number] = [30, 20, 25];
    // what failed is asked for again, as the viewer does
    const loader = new SliceLoader(new UnsteadySource(random), () =>
      AXES.forEach(axis => loader.want(axis, position[axis]))
    );
    const pause = (ms: number) =>
      new Promise(resolve => setTimeout(resolve, ms));
    for (let step = 0; step < 120; step++) {
      for (const axis of AXES) {
        const jumps = random() < 0.2;
        const moved = jumps
          ? Math.floor(random() * SHAPE[axis])
          : position[axis] + Math.floor(random() * 3) - 1;
        position[axis] = Math.min(SHAPE[axis] - 1, Math.max(0, moved));
        loader.want(axis, position[axis]);
      }
      if (random() < 0.5) {
        loader.prefetch();
      }
      if (random() < 0.6) {
        await pause(random() * 4);
      }
      if (step % 10 === 9) {
        for (let n = 0; n < 400 && !isThere(loader, position); n++) {
          await pause(2);
        }
        expect(isThere(loader, position)).toBe(true);
      }
    }
    loader.dispose();
  }
);

function isThere(
  loader: SliceLoader,
  position: readonly [number, number, number]
): boolean {
  return AXES.every(axis => {
    const plane = loader.get(axis, position[axis]);
    return plane?.stored[0] === axis && plane.stored[1] === position[axis];
  });
}
