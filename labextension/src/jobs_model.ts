import { Event, ServiceManager } from '@jupyterlab/services';
import { VDomModel } from '@jupyterlab/ui-components';
import { Throttler } from '@lumino/polling';
import { Api } from './api';
import { Health, Job, JobEvent, JobRequest, TaskInfo } from './generated/types';

/** Schema of the events that the server emits when a job changes. */
export const JOB_EVENT_SCHEMA_ID = 'https://schema.dlp-lab.org/job/v1';

/** Between two listings that only bring the step at work, which events do not carry. */
const STEP_REFRESH_MS = 2000;
/** Between two listings where events do not tell which job has changed, for that may be any user's. */
const NAMELESS_REFRESH_MS = 500;
/** Safety net under the event bus, which drops what happens while it is disconnected. */
const QUIET_REFRESH_MS = 30000;
/** Until the server answers again. */
const LOST_REFRESH_MS = 3000;

/** What of Jupyter's services the model listens to. */
export type Services = Pick<
  ServiceManager.IManager,
  'events' | 'connectionFailure'
>;

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

  get jobs(): readonly Job[] {
    return this._jobs;
  }

  /** How many jobs there are that are too old to be in `jobs`. */
  get older(): number {
    return this._older;
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

  /** Jupyter's signals are let go by the base class. */
  dispose(): void {
    clearTimeout(this._timer);
    this._stepRefresh.dispose();
    this._namelessRefresh.dispose();
    super.dispose();
  }

  /** List the jobs again. However often it is called, one request is under way and at most one more waits. */
  refresh(): Promise<void> {
    if (!this._underWay) {
      this._underWay = this._list().finally(() => {
        this._underWay = null;
      });
      return this._underWay;
    }
    this._waiting ??= this._underWay
      .catch(() => undefined)
      .then(() => {
        this._waiting = null;
        return this.refresh();
      });
    return this._waiting;
  }

  /** Throws with the server's sentence when it refuses. */
  async submit(request: JobRequest): Promise<void> {
    const job = await this._api.submit(request);
    this._jobs = [job, ...this._jobs.filter(({ uid }) => uid !== job.uid)];
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

  private async _change(changed: Promise<Job>): Promise<void> {
    try {
      this._replace(await changed);
    } finally {
      this._refreshQuietly();
    }
  }

  private async _list(): Promise<void> {
    try {
      if (this._tasks.length === 0) {
        this._tasks = await this._api.tasks();
      }
      this._health ??= await this._api.health();
      const { jobs, older } = await this._api.jobs();
      this._jobs = jobs;
      this._older = older;
      this._isLoaded = true;
      this._error = null;
    } catch (error) {
      this._error = error instanceof Error ? error.message : String(error);
      throw error;
    } finally {
      if (!this.isDisposed) {
        clearTimeout(this._timer);
        this._timer = setTimeout(
          () => this._refreshQuietly(),
          this._error === null ? QUIET_REFRESH_MS : LOST_REFRESH_MS
        );
        this.stateChanged.emit();
      }
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
    const known = this._jobs.find(job => job.uid === uid);
    if (known) {
      this._replace({ ...known, state, progress });
    }
    if (known?.state === state) {
      void this._stepRefresh.invoke();
    } else {
      this._refreshQuietly();
    }
  }

  private _onConnectionFailure(): void {
    this._refreshQuietly();
  }

  private _replace(changed: Job): void {
    this._jobs = this._jobs.map(job =>
      job.uid === changed.uid ? changed : job
    );
    this.stateChanged.emit();
  }

  private _jobs: readonly Job[] = [];
  private _older = 0;
  private _health: Health | null = null;
  private _tasks: readonly TaskInfo[] = [];
  private _error: string | null = null;
  private _isLoaded = false;
  private _underWay: Promise<void> | null = null;
  private _waiting: Promise<void> | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private readonly _stepRefresh: Throttler;
  private readonly _namelessRefresh: Throttler;
}
