import { VolumeInfo } from '../../generated/types';
import { Axis } from '../affine';
import { likelyNext } from '../prefetch';
import { SliceCache } from '../slice_cache';
import { SliceLoader } from '../slice_loader';
import { Plane } from '../plane';
import { SliceSource } from '../slice_source';

const INFO: VolumeInfo = {
  shape: [100, 50, 40],
  affine_kji_to_lps: [
    [0, 0, 1, 0],
    [0, 1, 0, 0],
    [1, 0, 0, 0],
    [0, 0, 0, 1]
  ],
  dtype: 'int16',
  unit: 'HU',
  modality: 'CT',
  slope: 1,
  intercept: 0,
  inverted: false,
  window: null,
  slice_files: [],
  has_headers: false,
  resampled: false,
  warnings: []
};

/** A source that answers when it is told to. */
class SlowSource implements SliceSource {
  readonly info = INFO;
  readonly asked: number[] = [];
  readonly cancelled: number[] = [];
  isDisposed = false;

  plane(axis: Axis, index: number, signal: AbortSignal): Promise<Plane> {
    this.asked.push(index);
    return new Promise((resolve, reject) => {
      this._answers.set(index, () =>
        resolve(new Plane(Int16Array.of(axis, index)))
      );
      this._refusals.set(index, () => reject(new Error('no such plane')));
      signal.addEventListener('abort', () => {
        this.cancelled.push(index);
        reject(new Error('cancelled'));
      });
    });
  }

  async answer(index: number): Promise<void> {
    this._answers.get(index)!();
    await settled();
  }

  async refuse(index: number): Promise<void> {
    this._refusals.get(index)!();
    await settled();
  }

  dispose(): void {
    this.isDisposed = true;
  }

  private readonly _answers = new Map<number, () => void>();
  private readonly _refusals = new Map<number, () => void>();
}

function settled(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve));
}

describe('SliceLoader', () => {
  let source: SlowSource;
  let loader: SliceLoader;
  let changes: number;

  beforeEach(() => {
    changes = 0;
    source = new SlowSource();
    loader = new SliceLoader(source, () => changes++);
  });

  afterEach(() => loader.dispose());

  it('asks for one plane at a time, and for the newest next', async () => {
    loader.want(0, 50);
    loader.want(0, 51);
    loader.want(0, 52);
    expect(source.asked).toEqual([50]);
    await source.answer(50);
    expect(source.asked).toEqual([50, 52]);
    expect([...loader.get(0, 50)!.stored]).toEqual([0, 50]);
  });

  it('cancels a request that a jump has made useless', () => {
    loader.want(0, 10);
    loader.want(0, 90);
    expect(source.cancelled).toEqual([10]);
    expect(source.asked).toEqual([10, 90]);
  });

  it('fetches neighbours when it is told to, and drops them for a wish', async () => {
    loader.want(0, 50);
    await source.answer(50);
    expect(source.asked).toEqual([50]);
    loader.prefetch();
    expect(source.asked).toEqual([50, 51, 49, 52, 48]);
    loader.want(0, 80);
    expect(source.cancelled).toEqual([51, 49, 52, 48]);
    expect(source.asked).toEqual([50, 51, 49, 52, 48, 80]);
  });

  it('fetches no neighbours while another axis is waited for', async () => {
    loader.want(0, 50);
    loader.want(1, 20);
    await source.answer(50);
    loader.prefetch();
    expect(source.asked).toEqual([50, 20]);
  });

  it('goes on with neighbours when the first ones are there', async () => {
    loader.want(0, 50);
    await source.answer(50);
    loader.prefetch();
    for (const index of [51, 49, 52, 48]) {
      await source.answer(index);
    }
    expect(source.asked.slice(5)).toEqual([53, 47, 54, 46]);
  });

  it('fetches neighbours some together, unless the next ones are near', async () => {
    loader.want(0, 50);
    await source.answer(50);
    loader.want(0, 51);
    await source.answer(51);
    loader.prefetch();
    for (let n = 2; n < source.asked.length; n++) {
      await source.answer(source.asked[n]);
    }
    const count = source.asked.length; // 52 to 58 and those behind are there
    for (const index of [52, 53]) {
      loader.want(0, index);
      loader.prefetch();
    }
    expect(source.asked.length).toBe(count);
    loader.want(0, 54);
    loader.prefetch();
    expect(source.asked.slice(count)).toEqual([59, 60, 61, 62]);
  });

  it('waits for a neighbour that is on its way, and keeps those that travel with it', async () => {
    loader.want(0, 50);
    await source.answer(50);
    loader.prefetch();
    loader.want(0, 51);
    expect(source.asked).toEqual([50, 51, 49, 52, 48]);
    expect(source.cancelled).toEqual([]);
    await source.answer(51);
    expect(changes).toBe(2);
    await source.answer(52);
    loader.want(0, 52);
    expect(source.asked).toEqual([50, 51, 49, 52, 48]);
  });

  it('tells why a plane cannot be had, and can be asked for it again', async () => {
    loader.want(0, 5);
    await source.refuse(5);
    expect(loader.error).toBe('no such plane');
    loader.want(0, 5);
    await source.answer(5);
    expect(loader.error).toBeNull();
  });

  it('asks for what is wanted now when the plane before it cannot be had', async () => {
    loader.want(0, 50);
    loader.want(0, 52);
    await source.refuse(50);
    expect(source.asked).toEqual([50, 52]);
    await source.answer(52);
    expect(changes).toBe(1);
    expect(loader.error).toBeNull();
  });

  it('keeps what is wanted however large it is, and comes to rest with few neighbours', async () => {
    const bytes = 4; // of a plane
    loader = new SliceLoader(source, () => changes++, 12 * bytes);
    for (const [axis, index] of [
      [0, 50],
      [1, 20],
      [2, 10]
    ] as const) {
      loader.want(axis, index);
      await source.answer(index);
    }
    loader.prefetch();
    for (let n = 3; n < source.asked.length && n < 100; n++) {
      await source.answer(source.asked[n]);
    }
    expect(source.asked).toHaveLength(12);
    expect(
      [loader.has(0, 50), loader.has(1, 20), loader.has(2, 10)].every(Boolean)
    ).toBe(true);
    loader.dispose();

    loader = new SliceLoader(source, () => changes++, bytes);
    loader.want(0, 50);
    loader.want(1, 20);
    await source.answer(50);
    await source.answer(20);
    expect(loader.has(0, 50) && loader.has(1, 20)).toBe(true);
    loader.prefetch();
    expect(source.asked).toHaveLength(14);
  });

  it('cancels all and disposes its source with itself', () => {
    loader.want(0, 5);
    loader.want(1, 6);
    loader.dispose();
    expect(source.cancelled).toEqual([5, 6]);
    expect(source.isDisposed).toBe(true);
  });
});

describe('likelyNext', () => {
  it('looks ahead in the direction of travel and a little behind', () => {
    expect(likelyNext(50, 100, 1, 5).slice(0, 5)).toEqual([51, 49, 52, 48, 53]);
    expect(likelyNext(50, 100, -1, 5).slice(0, 3)).toEqual([49, 51, 48]);
  });

  it('stays within the volume and asks little of a slow source', () => {
    expect(likelyNext(99, 100, 1, 5)).toEqual([98, 97]);
    expect(likelyNext(50, 100, 1, 500)).toEqual([51]);
  });
});

test('a cache keeps what was looked at last within its bytes', () => {
  const cache = new SliceCache(12);
  cache.add(0, 1, new Plane(Int16Array.of(1, 2)));
  cache.add(0, 2, new Plane(Int16Array.of(1, 2)));
  cache.add(1, 1, new Plane(Int16Array.of(1, 2)));
  cache.get(0, 1);
  cache.add(2, 1, new Plane(Int16Array.of(1, 2)));
  expect(cache.has(0, 2)).toBe(false);
  expect(cache.has(0, 1) && cache.has(1, 1) && cache.has(2, 1)).toBe(true);
  expect(cache.bytes).toBe(12);
});
