import { grouped, isGroup } from '../job_groups';
import { makeJob } from './fixtures';

const job = (uid: string, group: string | null) => makeJob({ uid, group });

describe('grouped', () => {
  it('puts the jobs of a group together, at the place of its newest', () => {
    const items = grouped([
      job('a', null),
      job('b', 'head'),
      job('c', null),
      job('d', 'liver'),
      job('e', 'head')
    ]);
    const told = items.map(item =>
      isGroup(item) ? [item.name, ...item.jobs.map(({ uid }) => uid)] : item.uid
    );
    expect(told).toEqual(['a', ['head', 'b', 'e'], 'c', ['liver', 'd']]);
  });

  it('leaves jobs of no group as they are', () => {
    const jobs = [job('a', null), job('b', null)];
    expect(grouped(jobs)).toEqual(jobs);
  });
});
