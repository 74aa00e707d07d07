import { Event, ServiceManager } from '@jupyterlab/services';
import { VDomModel } from '@jupyterlab/ui-components';
import { Throttler } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';
import { Api, NO_EXTENSION, Refused, ToldJob, ToldJobs } from './api';
import { Coalesced } from './coalesced';
import {
  Health,
  Job,
  JobEvent,
  JobLogPart,
  JobRequest,
  TaskInfo
} from './generated/types';
import { JobListing } from './job_listing';

/** Schema of the events that the server emits when a job changes. */
export const JOB_EVENT_SCHEMA_ID = 'https://schema.dlp-lab.org/job/v1';

/** Between two listings that only bring the step at work, which events do not carry. */
const STEP_REFRESH_MS = 2000;
/** Between two listings where events do not tell which job has changed, for that may be any user's. */
const NAMELESS_REFRESH_MS = 500;
/** Safety net under the event bus, which drops what happens while it is disconnected. */
const QUIET_REFRESH_MS = 30000;
/** Until a lost server is asked again; twice as long after each time in vain, up to `QUIET_REFRESH_MS`. */
const LOST_REFRESH_MS = 3000;
/** How often a server is asked that answers, and not for dlp-lab: it will not change before it is started again. */
const TRIES_WITHOUT_EXTENSION = 4;

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

/** A job that has ended. */
export type JobEnd = Pick<Job, 'uid' | 'state'>;

/** The server's jobs, newest first, kept live by Jupyter's event bus. */
export class JobsModel extends VDomModel {
  constructor(
    private readonly _api: Api,
    services: Services
  ) {
    super();
    services.events.stream.connect(this._onEvent, this);
    services.connectionFailure.connect(this._onConnectionFailure, this);
    this._stepRefresh = new Throttler(() => this._refreshQuietly(), {
      limit: STEP_REFRESH_MS,
      edge: 'trailing'
    });
    this._namelessRefresh = new Throttler(() => this._refreshQuietly(), {
      limit: NAMELESS_REFRESH_MS,
      edge: 'trailing'
    });
    this._refreshQuietly();
  }

  get jobs(): readonly ToldJob[] {
    return this._listing.jobs;
  }

  /** How many jobs there are that are too old to be in `jobs`. */
  get older(): number {
    return this._listing.older;
  }

  /** How many of all jobs run and wait, whatever is listed. */
  get open(): OpenJobs {
    return this._open;
  }

  /** Emits each job that was known to be open when it has ended, once; also one that is not listed. */
  get jobEnded(): ISignal<this, JobEnd> {
    return this._jobEnded;
  }

  get wanted(): Wanted {
    return this._wanted;
  }

  /** What was listed stays until the server has answered. */
  set wanted(wanted: Wanted) {
    this._wanted = wanted;
    this.stateChanged.emit();
    this._refreshQuietly();
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

  /** The listed job of that uid. */
  job(uid: string | undefined): ToldJob | undefined {
    return this._listing.job(uid);
  }

  /** Jupyter's signals are let go by the base class. */
  dispose(): void {
    clearTimeout(this._timer);
    this._stepRefresh.dispose();
    this._namelessRefresh.dispose();
    super.dispose();
  }

  /** List the jobs again. */
  refresh(): Promise<void> {
    return this._refresh.run();
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
    this._seen.add(job.uid);
    this._refreshQuietly();
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
      this._refreshQuietly();
    }
  }

  private async _list(): Promise<void> {
    const wanted = this._wanted;
    const isAll = wanted.states.length === 0 && wanted.about === '';
    try {
      if (this._tasks.length === 0) {
        this._tasks = await this._api.tasks();
      }
      this._health ??= await this._api.health();
      const page = await this._api.jobs(wanted);
      this._open = await this._countOpen(isAll ? page : null);
      if (wanted !== this._listed) {
        this._listing = new JobListing();
        this._listed = wanted;
      }
      this._listing.takeNewest(page);
      this._isLoaded = true;
      page.jobs.forEach(job => this._note(job));
      this._error = null;
      this._failures = 0;
      this._isInVain = false;
    } catch (error) {
      this._error = error instanceof Error ? error.message : String(error);
      this._failures += 1;
      this._isInVain =
        error instanceof Refused &&
        error.code === NO_EXTENSION &&
        this._failures >= TRIES_WITHOUT_EXTENSION;
      throw error;
    } finally {
      if (!this.isDisposed) {
        clearTimeout(this._timer);
        if (!this._isInVain) {
          this._timer = setTimeout(() => this._refreshQuietly(), this._pauseMs);
        }
        this.stateChanged.emit();
      }
    }
  }

  /** Until the next listing that nothing asks for. */
  private get _pauseMs(): number {
    return this._failures === 0
      ? QUIET_REFRESH_MS
      : Math.min(QUIET_REFRESH_MS, LOST_REFRESH_MS * 2 ** (this._failures - 1));
  }

  /** From a listing of all jobs where it has all open ones. */
  private async _countOpen(all: ToldJobs | null): Promise<OpenJobs> {
    if (all !== null && all.older === 0) {
      const count = (state: Job['state']) =>
        all.jobs.filter(job => job.state === state).length;
      return { running: count('running'), queued: count('queued') };
    }
    const count = async (state: Job['state']) => {
      const page = await this._api.jobs({ states: [state], limit: 1 });
      return page.jobs.length + page.older;
    };
    return { running: await count('running'), queued: await count('queued') };
  }

  /** Remember that a job is open; tell that it has ended when it was. */
  private _note({ uid, state }: JobEnd): void {
    if (state === 'queued' || state === 'running') {
      this._seen.add(uid);
    } else if (this._seen.delete(uid)) {
      this._jobEnded.emit({ uid, state });
    }
  }

  /** For calls that nobody waits for; a failure is shown in the panel by `error`. */
  private _refreshQuietly(): void {
    if (!this.isDisposed) {
      this.refresh().catch(() => undefined);
    }
  }

  private _onEvent(_: Event.IManager, emission: Event.Emission): void {
    if (emission.schema_id !== JOB_EVENT_SCHEMA_ID) {
      return;
    }
    const { uid, state, progress } = emission as unknown as JobEvent;
    if (uid === null || state === null || progress === null) {
      // Several users share the server: the event tells nobody whose job it is.
      void this._namelessRefresh.invoke();
      return;
    }
    const known = this.job(uid);
    if (known) {
      this._replace({ ...known, state, progress });
    }
    this._note({ uid, state });
    if (known?.state === state) {
      void this._stepRefresh.invoke();
    } else {
      this._refreshQuietly();
    }
  }

  private _onConnectionFailure(): void {
    this._refreshQuietly();
  }

  private _replace(changed: ToldJob): void {
    this._listing.replace(changed);
    this.stateChanged.emit();
  }

  private readonly _refresh = new Coalesced(() => this._list());
  private _wanted: Wanted = { states: [], about: '' };
  /** What `_listing` was asked for with. */
  private _listed = this._wanted;
  private _listing = new JobListing();
  private _open: OpenJobs = { running: 0, queued: 0 };
  /** Jobs that were known to be open, until they have ended. */
  private readonly _seen = new Set<string>();
  private readonly _jobEnded = new Signal<this, JobEnd>(this);
  private _health: Health | null = null;
  private _tasks: readonly TaskInfo[] = [];
  private _error: string | null = null;
  /** Listings that failed since the last one that did not. */
  private _failures = 0;
  /** Whether nothing is gained by asking this server again. */
  private _isInVain = false;
  private _isLoaded = false;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private readonly _stepRefresh: Throttler;
  private readonly _namelessRefresh: Throttler;
}
