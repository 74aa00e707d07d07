import { ISignal, Signal } from '@lumino/signaling';
import { Job } from './generated/types';

/** A job that has ended. */
export type JobEnd = Pick<Job, 'uid' | 'state'>;

/** Knows the jobs that were seen open, listed or not, until they have ended. */
export class JobEnds {
  /** Emits each job that was known to be open when it has ended, once. */
  get ended(): ISignal<this, JobEnd> {
    return this._ended;
  }

  /**
   * Take note of the state of a job.
   *
   * @returns Whether it is news.
   */
  note({ uid, state }: JobEnd): boolean {
    const known = this._open.get(uid);
    if (state === 'queued' || state === 'running') {
      this._open.set(uid, state);
    } else if (this._open.delete(uid)) {
      this._ended.emit({ uid, state });
    }
    return state !== known;
  }

  private readonly _open = new Map<string, Job['state']>();
  private readonly _ended = new Signal<this, JobEnd>(this);
}
