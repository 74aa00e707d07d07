import { Event, ServiceManager } from '@jupyterlab/services';
import { VDomModel } from '@jupyterlab/ui-components';
import { ISignal } from '@lumino/signaling';
import { Api, NO_EXTENSION, Refused, ToldJob } from './api';
import {
  GroupCounts,
  Health,
  Job,
  JobEvent,
  JobLogPart,
  JobRequest,
  TaskInfo
} from './generated/types';
import { JobEnd, JobEnds } from './job_ends';
import { JobListing } from './job_listing';
import { RefreshSchedule } from './refresh_schedule';

/** Schema of the events that the server emits when a job changes. */
export const JOB_EVENT_SCHEMA_ID = 'https://schema.dlp-lab.org/job/v1';

/** What of Jupyter's services the model listens to. */
export type Services = Pick<
  ServiceManager.IManager,
  'events' | 'connectionFailure'
>;

/** Which jobs are listed. */
export interface Wanted {
  /** Those in one of these states; all when empty. */
  states: readonly Job['state'][];
  /** Those with each of these words in the name of folder or task. */
  about: string;
}

/** How many jobs run and wait. */
export interface OpenJobs {
  running: number;
  queued: number;
}

/** The server's jobs, newest first, kept live by Jupyter's event bus. */
export class JobsModel extends VDomModel {
  constructor(
    private readonly _api: Api,
    services: Services
  ) {
    super();
    services.events.stream.connect(this._onEvent, this);
    services.connectionFailure.connect(this._onConnectionFailure, this);
    this._refresh.soon();
  }

  get jobs(): readonly ToldJob[] {
    return this._listing.jobs;
  }

  /** How many jobs there are that are too old to be in `jobs`. */
  get older(): number {
    return this._listing.older;
  }

  /** How many jobs of a listed job's group are in each state, listed or not. */
  groupCounts(group: string): GroupCounts {
    return this._listing.counts(group);
  }

  /** Whether a job of a job's group has not ended; of one that is not listed, a job of any listed group. */
  isGroupAtWork(uid: string): boolean {
    return this._listing.isGroupAtWork(uid);
  }

  /** How many of all jobs run and wait, whatever is listed. */
  get open(): OpenJobs {
    return this._open;
  }

  /** Emits each job that was known to be open when it has ended, once; also one that is not listed. */
  get jobEnded(): ISignal<JobEnds, JobEnd> {
    return this._ends.ended;
  }

  get wanted(): Wanted {
    return this._wanted;
  }

  /** What was listed stays until the server has answered. */
  set wanted(wanted: Wanted) {
    this._wanted = wanted;
    this.stateChanged.emit();
    this._refresh.soon();
  }

  /** Where the server keeps things; null before it has answered. */
  get health(): Health | null {
    return this._health;
  }

  get tasks(): readonly TaskInfo[] {
    return this._tasks;
  }

  /** Why the last listing failed; null when it did not. */
  get error(): string | null {
    return this._error;
  }

  /** Whether the jobs have been listed at least once. */
  get isLoaded(): boolean {
    return this._isLoaded;
  }

  /** The task of that name; undefined where the server knows it no more. */
  task(name: string | undefined): TaskInfo | undefined {
    return this._tasks.find(task => task.name === name);
  }

  /**
   * The task of that name as the server knows it now, since models may have been added; as it was known where the server
   * does not answer, which the submission will tell.
   */
  async askTask(name: string | undefined): Promise<TaskInfo | undefined> {
    try {
      this._tasks = await this._api.tasks();
    } catch {
      return this.task(name);
    }
    this.stateChanged.emit();
    return this.task(name);
  }

  /** The listed job of that uid. */
  job(uid: string | undefined): ToldJob | undefined {
    return this._listing.job(uid);
  }

  /** Jupyter's signals are let go by the base class. */
  dispose(): void {
    this._refresh.dispose();
    super.dispose();
  }

  /** List the jobs again. */
  refresh(): Promise<void> {
    return this._refresh.now();
  }

  /** List the next older jobs too. */
  async loadOlder(): Promise<void> {
    const listing = this._listing;
    const before = listing.last;
    if (before === undefined || listing.older === 0) {
      return;
    }
    const page = await this._api.jobs({ ...this._listed, before });
    if (this._listing === listing && listing.last === before) {
      listing.takeOlder(page);
      this.stateChanged.emit();
    }
  }

  /** A job as it is now, listed or not. Throws with the server's sentence when there is none. */
  async fetch(uid: string): Promise<ToldJob> {
    return this._api.job(uid);
  }

  /** What a job printed, from a byte on. Throws with the server's sentence when there is no such job. */
  async log(uid: string, offset: number): Promise<JobLogPart> {
    return this._api.log(uid, offset);
  }

  /** What the labels that a job found are called, by their numbers. */
  async labelNames(uid: string): Promise<Record<string, string>> {
    const { labels } = await this._api.measurements(uid);
    return Object.fromEntries(
      labels.map(({ number, name }) => [String(number), name])
    );
  }

  /** Throws with the server's sentence when it refuses. */
  async submit(request: JobRequest): Promise<void> {
    const job = await this._api.submit(request);
    if (this._listed.states.length === 0 && this._listed.about === '') {
      this._listing.putFirst(job);
    }
    this._ends.note(job);
    this._refresh.soon();
    this.stateChanged.emit();
  }

  /** Throws with the server's sentence when it refuses. */
  async cancel(uid: string): Promise<void> {
    await this._change(this._api.cancel(uid));
  }

  /** Throws with the server's sentence when it refuses. */
  async retry(uid: string): Promise<void> {
    await this._change(this._api.retry(uid));
  }

  /** Forget a job that has ended. Throws with the server's sentence when it refuses. */
  async remove(uid: string, withResult: boolean): Promise<void> {
    await this._api.remove(uid, withResult);
    this._listing.remove(uid);
    this.stateChanged.emit();
  }

  private async _change(changed: Promise<ToldJob>): Promise<void> {
    try {
      this._replace(await changed);
    } finally {
      this._refresh.soon();
    }
  }

  private async _list(): Promise<void> {
    const wanted = this._wanted;
    try {
      if (this._tasks.length === 0) {
        this._tasks = await this._api.tasks();
      }
      this._health ??= await this._api.health();
      const page = await this._api.jobs(wanted);
      this._open = { running: page.running, queued: page.queued };
      if (wanted !== this._listed) {
        this._listing = new JobListing();
        this._listed = wanted;
      }
      this._listing.takeNewest(page);
      this._isLoaded = true;
      page.jobs.forEach(job => this._ends.note(job));
      this._error = null;
    } catch (error) {
      this._error = error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  private _onEvent(_: Event.IManager, emission: Event.Emission): void {
    if (emission.schema_id !== JOB_EVENT_SCHEMA_ID) {
      return;
    }
    const { uid, state, progress } = emission as unknown as JobEvent;
    if (uid === null || state === null || progress === null) {
      // Several users share the server: the event tells nobody whose job it is.
      this._refresh.afterUnlisted();
      return;
    }
    const known = this.job(uid);
    if (known) {
      this._replace({ ...known, state, progress });
    }
    const isNews = this._ends.note({ uid, state });
    if (known?.state === state) {
      this._refresh.afterStep();
    } else if (known || state === 'queued') {
      this._refresh.soon();
    } else if (isNews) {
      this._refresh.afterUnlisted();
    }
  }

  private _onConnectionFailure(): void {
    this._refresh.soon();
  }

  private _replace(changed: ToldJob): void {
    this._listing.replace(changed);
    this.stateChanged.emit();
  }

  private readonly _refresh = new RefreshSchedule(
    () => this._list(),
    () => this.stateChanged.emit(),
    error => error instanceof Refused && error.code === NO_EXTENSION
  );
  private _wanted: Wanted = { states: [], about: '' };
  /** What `_listing` was asked for with. */
  private _listed = this._wanted;
  private _listing = new JobListing();
  private _open: OpenJobs = { running: 0, queued: 0 };
  private readonly _ends = new JobEnds();
  private _health: Health | null = null;
  private _tasks: readonly TaskInfo[] = [];
  private _error: string | null = null;
  private _isLoaded = false;
}
