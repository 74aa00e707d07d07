import { VolumeInfo } from '../../generated/types';
import { JoinedPlanes, PlanePlace, separated } from '../joined_planes';

interface Request {
  places: readonly PlanePlace[];
  signal: AbortSignal;
  answer: () => Promise<void>;
  refuse: () => Promise<void>;
}

function settled(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve));
}

/** The bytes of a plane tell which it is. */
function bytesOf({ axis, index }: PlanePlace): ArrayBuffer {
  return Uint8Array.of(axis, index).buffer;
}

describe('JoinedPlanes', () => {
  let requests: Request[];
  let joined: JoinedPlanes;

  const ask = (axis: 0 | 1 | 2, index: number, abort = new AbortController()) =>
    joined
      .plane({ axis, index }, abort.signal)
      .then(bytes => [...new Uint8Array(bytes)].join('.'))
      .catch((error: Error) => error.message);

  const asked = () =>
    requests.map(({ places }) =>
      places.map(({ axis, index }) => `${axis}.${index}`).join(' ')
    );

  /** Let it know that all axes are fast. */
  const warmUp = async () => {
    for (const axis of [0, 1, 2] as const) {
      void ask(axis, 0);
    }
    await settled();
    for (const request of requests) {
      await request.answer();
    }
    requests = [];
  };

  beforeEach(() => {
    requests = [];
    joined = new JoinedPlanes(
      (places, signal) =>
        new Promise((resolve, reject) => {
          requests.push({
            places,
            signal,
            answer: () => (resolve(places.map(bytesOf)), settled()),
            refuse: () => (reject(new Error('no such plane')), settled())
          });
        })
    );
  });

  it('asks for planes alone until their axes are known to be fast', async () => {
    void ask(0, 1);
    void ask(1, 2);
    await settled();
    expect(asked()).toEqual(['0.1', '1.2']);
    await requests[0].answer();
    requests = [];
    void ask(0, 3);
    void ask(1, 4);
    void ask(0, 5);
    await settled();
    expect(asked()).toEqual(['1.4', '0.3 0.5']);
  });

  it('gives each who asked the plane of its own', async () => {
    await warmUp();
    const planes = [ask(2, 7), ask(0, 8), ask(1, 9)];
    await settled();
    expect(asked()).toEqual(['2.7 0.8 1.9']);
    await requests[0].answer();
    expect(await Promise.all(planes)).toEqual(['2.7', '0.8', '1.9']);
  });

  it('asks for six at most together', async () => {
    await warmUp();
    for (let index = 0; index < 8; index++) {
      void ask(0, index);
    }
    await settled();
    expect(requests.map(({ places }) => places.length)).toEqual([6, 2]);
  });

  it('gives a request up when nobody waits for any of its planes', async () => {
    await warmUp();
    const [one, other] = [new AbortController(), new AbortController()];
    const planes = [ask(0, 1, one), ask(1, 2, other)];
    await settled();
    one.abort();
    expect(await planes[0]).toBe('cancelled');
    expect(requests[0].signal.aborted).toBe(false);
    other.abort();
    expect(requests[0].signal.aborted).toBe(true);
    expect(await planes[1]).toBe('cancelled');
  });

  it('does not ask for what was given up at once', async () => {
    const abort = new AbortController();
    void ask(0, 1, abort);
    abort.abort();
    await settled();
    expect(requests).toEqual([]);
  });

  it('asks for each alone when they were refused together', async () => {
    await warmUp();
    const planes = [ask(0, 1), ask(1, 2)];
    await settled();
    await requests[0].refuse();
    expect(asked().slice(1)).toEqual(['0.1', '1.2']);
    await requests[1].refuse();
    await requests[2].answer();
    expect(await Promise.all(planes)).toEqual(['no such plane', '1.2']);
  });
});

test('planes that came one behind the other are told apart by their sizes', () => {
  const info = { shape: [2, 3, 4], dtype: 'uint16' } as VolumeInfo;
  const places = ([1, 0, 2] as const).map(axis => ({ axis, index: 0 }));
  const values = Uint16Array.from({ length: 8 + 12 + 6 }, (_, n) => n);
  const planes = separated(values.buffer, places, info);
  expect(planes.map(plane => new Uint16Array(plane)[0])).toEqual([0, 8, 20]);
  expect(planes.map(plane => plane.byteLength / 2)).toEqual([8, 12, 6]);
});
