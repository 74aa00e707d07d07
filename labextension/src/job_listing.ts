import { ToldJob, ToldJobs } from './api';

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

  /** The listed job of that uid. */
  job(uid: string | undefined): ToldJob | undefined {
    return this._jobs.find(job => job.uid === uid);
  }

  /** Put the newest jobs in the place of what was known of them; older ones that were listed stay. */
  takeNewest({ jobs, older }: ToldJobs): void {
    const last = jobs[jobs.length - 1]?.uid;
    const place = this._jobs.findIndex(({ uid }) => uid === last);
    const stay = older > 0 && place >= 0 ? this._jobs.slice(place + 1) : [];
    this._jobs = [...jobs, ...stay];
    this._older = older - stay.length;
  }

  takeOlder({ jobs, older }: ToldJobs): void {
    this._jobs = [...this._jobs, ...jobs];
    this._older = older;
  }

  /** Put a job that has just been submitted at the top. */
  putFirst(job: ToldJob): void {
    this._jobs = [job, ...this._jobs.filter(({ uid }) => uid !== job.uid)];
  }

  /** Put a job in the place of what was known of it, if it is listed. */
  replace(changed: ToldJob): void {
    this._jobs = this._jobs.map(job =>
      job.uid === changed.uid ? changed : job
    );
  }

  remove(gone: string): void {
    this._jobs = this._jobs.filter(({ uid }) => uid !== gone);
  }

  private _jobs: readonly ToldJob[] = [];
  private _older = 0;
}
