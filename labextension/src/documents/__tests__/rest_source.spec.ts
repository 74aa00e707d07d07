import { Api, Refused } from '../../api';
import { VolumeInfo } from '../../generated/types';
import { RestSource } from '../rest_source';

const INFO = {
  shape: [3, 1, 2],
  dtype: 'int16',
  slope: 1,
  intercept: 0
} as unknown as VolumeInfo;

/** A server of one volume, which it can close by itself. */
class FakeVolumes {
  opened = 0;
  open: string | null = null;
  /** Why nothing can be opened; null when it can. */
  refusal: Error | null = null;

  readonly api = {
    openVolume: () => {
      if (this.refusal) {
        return Promise.reject(this.refusal);
      }
      this.open = `id${++this.opened}`;
      return Promise.resolve({ id: this.open, info: INFO });
    },
    planes: (id: string) =>
      id === this.open
        ? Promise.resolve(Int16Array.of(1, 2).buffer)
        : Promise.reject(new Refused('NO_SUCH_VOLUME', 'no volume is open')),
    closeVolume: jest.fn().mockResolvedValue(undefined)
  } as unknown as Api;
}

describe('RestSource', () => {
  const { signal } = new AbortController();
  let server: FakeVolumes;
  let source: RestSource;

  beforeEach(async () => {
    server = new FakeVolumes();
    source = await RestSource.open(server.api, { path: 'series' });
  });

  it('opens once again what the server has closed', async () => {
    server.open = null;
    const planes = [0, 1, 2].map(k => source.plane(0, k, signal));
    expect((await planes[0]).valueAt(1)).toBe(2);
    await Promise.all(planes);
    expect(server.opened).toBe(2);
  });

  it('opens nothing for a question that was on its way when it was disposed', async () => {
    source.dispose();
    server.open = null;
    await expect(source.plane(0, 1, signal)).rejects.toThrow('no volume');
    expect(server.opened).toBe(1);
  });

  it('tries anew after it could not be opened again', async () => {
    server.open = null;
    server.refusal = new Error('The server does not answer.');
    await expect(source.plane(0, 1, signal)).rejects.toThrow('not answer');
    server.refusal = null;
    expect((await source.plane(0, 1, signal)).valueAt(0)).toBe(1);
    source.dispose();
    await new Promise(resolve => setTimeout(resolve));
    expect(server.api.closeVolume).toHaveBeenCalledWith('id2');
  });
});
