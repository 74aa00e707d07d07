import { Notification } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { IDisposable } from '@lumino/disposable';
import { Throttler } from '@lumino/polling';
import { Signal } from '@lumino/signaling';
import { Job } from './generated/types';
import { JobEnd } from './job_ends';
import { JobsModel } from './jobs_model';

/** Which jobs are told of. */
export type NotifyOf = 'all' | 'failed' | 'none';

/** Jobs that end within this time share one notification. */
const TOGETHER_MS = 1500;

/** Tells of jobs that end: one by name, many by their number, a group at its end. A cancelled job was cancelled by somebody who knows. */
export class JobNotifications implements IDisposable {
  constructor(
    private readonly _model: JobsModel,
    private readonly _showJobs: () => void,
    private readonly _trans: TranslationBundle
  ) {
    _model.jobEnded.connect(this._onJobEnded, this);
    // the last of a group may not be listed; that it has ended is seen by the next listing
    _model.stateChanged.connect(this._tellSoon, this);
    this._tell = new Throttler(() => this._tellAll(), {
      limit: TOGETHER_MS,
      edge: 'trailing'
    });
  }

  notifyOf: NotifyOf = 'all';

  get isDisposed(): boolean {
    return this._tell.isDisposed;
  }

  dispose(): void {
    this._tell.dispose();
    Signal.clearData(this);
  }

  private _onJobEnded(_: unknown, end: JobEnd): void {
    const isToldOf =
      end.state === 'failed' ||
      (end.state === 'succeeded' && this.notifyOf === 'all');
    if (isToldOf && this.notifyOf !== 'none') {
      this._ends = [...this._ends, end];
    }
    this._tellSoon();
  }

  /** A group is told of when none of it is at work. */
  private _tellSoon(): void {
    if (this._ends.some(({ uid }) => !this._model.isGroupAtWork(uid))) {
      void this._tell.invoke();
    }
  }

  private async _tellAll(): Promise<void> {
    const isHeld = ({ uid }: JobEnd) => this._model.isGroupAtWork(uid);
    const ends = this._ends.filter(end => !isHeld(end));
    this._ends = this._ends.filter(isHeld);
    if (ends.length === 1) {
      // removed meanwhile, or the server is lost: then there is nothing to tell
      const job = await this._model.fetch(ends[0].uid).catch(() => null);
      if (job !== null) {
        this._tellOne(job);
      }
    } else if (ends.length > 1) {
      this._tellMany(ends);
    }
  }

  private _tellOne(job: Job): void {
    const trans = this._trans;
    const title = this._model.task(job.task)?.title ?? job.task;
    const what = trans.__('%1 of “%2”', title, job.input_dir);
    if (job.state === 'succeeded') {
      Notification.success(trans.__('%1 is done.', what), this._options());
    } else if (job.state === 'failed') {
      Notification.error(
        trans.__('%1 failed: %2', what, job.message),
        this._options()
      );
    }
  }

  private _tellMany(ends: readonly JobEnd[]): void {
    const trans = this._trans;
    const failed = ends.filter(({ state }) => state === 'failed').length;
    const ended = trans._n(
      '%1 job has ended.',
      '%1 jobs have ended.',
      ends.length
    );
    if (failed === 0) {
      Notification.success(ended, this._options());
    } else {
      const failures = trans._n('%1 failed.', '%1 failed.', failed);
      Notification.error(`${ended} ${failures}`, this._options());
    }
  }

  private _options(): Notification.IOptions<null> {
    return {
      autoClose: 5000,
      actions: [
        { label: this._trans.__('Show jobs'), callback: this._showJobs }
      ]
    };
  }

  private _ends: readonly JobEnd[] = [];
  private readonly _tell: Throttler;
}
