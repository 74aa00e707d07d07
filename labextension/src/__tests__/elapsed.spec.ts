import { elapsed } from '../elapsed';
import { makeJob } from './fixtures';

const START = '2026-01-01T00:00:00.000Z';

describe('elapsed', () => {
  const after = (ms: number) => Date.parse(START) + ms;

  it.each([
    [900, '0 s'],
    [59900, '59 s'],
    [187000, '3 min 07 s'],
    [3900000, '1 h 05 min'],
    [-5000, '0 s']
  ])('of a job that runs for %d ms is %s', (ms, text) => {
    const job = makeJob({ state: 'running', started_at: START });
    expect(elapsed(job, after(ms))).toBe(text);
  });

  it('stops when the job ends', () => {
    const job = makeJob({
      state: 'succeeded',
      started_at: START,
      ended_at: '2026-01-01T00:00:02.340Z'
    });
    expect(elapsed(job, after(99000))).toBe('2.3 s');
  });

  it('is nothing before the job starts', () => {
    expect(elapsed(makeJob(), after(0))).toBeNull();
  });
});
