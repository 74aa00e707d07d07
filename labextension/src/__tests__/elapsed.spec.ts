import { elapsed, timeLeft } from '../elapsed';
import { makeJob } from './fixtures';

const TOLD_AT = 5000;

describe('elapsed', () => {
  it.each([
    [0, 900, '0 s'],
    [50, 9900, '59 s'],
    [180, 7000, '3 min 07 s'],
    [3890, 10000, '1 h 05 min'],
    [7, -5000, '7 s']
  ])('of a job told of at %d s, %d ms ago, is %s', (seconds, ms, text) => {
    const job = makeJob({
      state: 'running',
      elapsed_seconds: seconds,
      toldAt: TOLD_AT
    });
    expect(elapsed(job, TOLD_AT + ms)).toBe(text);
  });

  it('asks no clock of the browser when the job started', () => {
    const job = makeJob({
      state: 'running',
      started_at: '1970-01-01T00:00:00.000Z',
      elapsed_seconds: 3,
      toldAt: TOLD_AT
    });
    expect(elapsed(job, TOLD_AT)).toBe('3 s');
  });

  it.each([
    [0, '0.00 s'],
    [0.0414, '0.04 s'],
    [0.994, '0.99 s'],
    [0.996, '1.0 s'],
    [2.34, '2.3 s'],
    [9.96, '10 s'],
    [59.7, '1 min 00 s']
  ])('of a job that took %d s is %s ever after', (seconds, text) => {
    const job = makeJob({ state: 'succeeded', elapsed_seconds: seconds });
    expect(elapsed(job, 99000)).toBe(text);
  });

  it('is nothing before the job starts', () => {
    expect(elapsed(makeJob(), 0)).toBeNull();
  });
});

describe('timeLeft', () => {
  const left = (ms: number, seconds_left: number | null) =>
    timeLeft(
      makeJob({ state: 'running', seconds_left, toldAt: TOLD_AT }),
      TOLD_AT + ms
    );

  it('counts down from what the server guessed, until that has run out', () => {
    expect(left(0, 187)).toBe('3 min 07 s');
    expect(left(150_000, 187)).toBe('37 s');
    expect(left(190_000, 187)).toBeNull();
  });

  it('is nothing while the server cannot tell', () => {
    expect(left(0, null)).toBeNull();
  });

  it('is nothing once the job has ended', () => {
    expect(
      timeLeft(makeJob({ state: 'failed', seconds_left: 9 }), 0)
    ).toBeNull();
  });
});
