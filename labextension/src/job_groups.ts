import { ToldJob } from './api';

/** Jobs that were submitted as one, such as a cohort. */
export interface JobGroup {
  name: string;
  jobs: readonly ToldJob[];
}

/** What the panel lists one below the other. */
export type PanelItem = ToldJob | JobGroup;

export function isGroup(item: PanelItem): item is JobGroup {
  return 'jobs' in item;
}

/** Jobs as they come, those of a group together at the place of its newest. */
export function grouped(jobs: readonly ToldJob[]): PanelItem[] {
  const groups = new Map<string, ToldJob[]>();
  const items: PanelItem[] = [];
  for (const job of jobs) {
    if (job.group === null) {
      items.push(job);
      continue;
    }
    const known = groups.get(job.group);
    if (known) {
      known.push(job);
    } else {
      const members = [job];
      groups.set(job.group, members);
      items.push({ name: job.group, jobs: members });
    }
  }
  return items;
}
