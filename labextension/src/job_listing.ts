import { ToldJob, ToldJobs } from './api';
import { GroupCounts, Job } from './generated/types';

const NONE = { queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 };

/** The part of the server's jobs that is known here, newest first: what was listed page by page, and kept up to date. */
export class JobListing {
  get jobs(): readonly ToldJob[] {
    return this._jobs;
  }

  /** How many jobs there are that are too old to be in `jobs`. */
  get older(): number {
    return this._older;
  }

  /** The oldest job that is known; undefined when none is. */
  get last(): string | undefined {
    return this._jobs[this._jobs.length - 1]?.uid;
  }

  /** How many jobs of a listed job's group are in each state, listed or not. */
  counts(group: string): GroupCounts {
    return this._counts.get(group) ?? { group, ...NONE };
  }

  /** Whether a job of a job's group has not ended; of one that is not listed, a job of any listed group. */
  isGroupAtWork(uid: string): boolean {
    const job = this.job(uid);
    const groups =
      job === undefined
        ? [...this._counts.values()]
        : job.group === null
          ? []
          : [this.counts(job.group)];
    return groups.some(({ running, queued }) => running + queued > 0);
  }

  /** The listed job of that uid. */
  job(uid: string | undefined): ToldJob | undefined {
    return this._jobs.find(job => job.uid === uid);
  }

  /** Put the newest jobs in the place of what was known of them; older ones that were listed stay. */
  takeNewest({ jobs, older, groups }: ToldJobs): void {
    const last = jobs[jobs.length - 1]?.uid;
    const place = this._jobs.findIndex(({ uid }) => uid === last);
    const stay = older > 0 && place >= 0 ? this._jobs.slice(place + 1) : [];
    this._jobs = [...jobs, ...stay];
    this._older = older - stay.length;
    this._takeCounts(groups);
  }

  takeOlder({ jobs, older, groups }: ToldJobs): void {
    this._jobs = [...this._jobs, ...jobs];
    this._older = older;
    this._takeCounts(groups);
  }

  /** Put a job that has just been submitted at the top. */
  putFirst(job: ToldJob): void {
    if (this.job(job.uid) === undefined) {
      this._jobs = [job, ...this._jobs];
      this._count(job, 1);
    }
  }

  /** Put a job in the place of what was known of it, if it is listed. */
  replace(changed: ToldJob): void {
    const known = this.job(changed.uid);
    if (known === undefined) {
      return;
    }
    this._jobs = this._jobs.map(job => (job === known ? changed : job));
    if (known.state !== changed.state) {
      this._count(known, -1);
      this._count(changed, 1);
    }
  }

  remove(gone: string): void {
    const known = this.job(gone);
    if (known !== undefined) {
      this._jobs = this._jobs.filter(job => job !== known);
      this._count(known, -1);
    }
  }

  private _takeCounts(groups: readonly GroupCounts[]): void {
    for (const counts of groups) {
      this._counts.set(counts.group, counts);
    }
  }

  /** Until the server counts again. */
  private _count({ group, state }: Job, change: -1 | 1): void {
    if (group !== null) {
      const counts = this.counts(group);
      this._counts.set(group, { ...counts, [state]: counts[state] + change });
    }
  }

  private _jobs: readonly ToldJob[] = [];
  private _older = 0;
  private readonly _counts = new Map<string, GroupCounts>();
}
