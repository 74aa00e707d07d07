import { Event, ServerConnection } from '@jupyterlab/services';
import { JSONObject } from '@lumino/coreutils';
import { Signal, Stream } from '@lumino/signaling';
import { Api, ToldJob } from '../api';
import { GroupCounts, Job, JobList, TaskInfo } from '../generated/types';
import { JOB_EVENT_SCHEMA_ID, JobsModel, Services } from '../jobs_model';

export function makeJob(changes: Partial<ToldJob> = {}): ToldJob {
  return {
    uid: 'a'.repeat(32),
    task: '3dblur',
    input_dir: 'study/series',
    params: { sigma_mm: 2, mode: 'nearest' },
    keep_hdf5: false,
    output_form: 'series',
    read: {
      series: null,
      select: {},
      gaps: 'refuse',
      irregular: 'refuse',
      tilt: 'refuse'
    },
    state: 'queued',
    submitted_at: '2026-01-01T00:00:00.000Z',
    progress: 0,
    message: '',
    error_code: null,
    output_dir: null,
    warnings: [],
    started_at: null,
    ended_at: null,
    attempts: 0,
    priority: 0,
    position: null,
    owner: null,
    group: null,
    elapsed_seconds: null,
    seconds_left: null,
    toldAt: 0,
    ...changes
  };
}

/** The reference task, as the server describes it. */
export const BLUR: TaskInfo = {
  name: '3dblur',
  title: '3-D Gaussian blur',
  description: 'Smooths with a Gaussian.',
  makes: 'image',
  params_schema: {
    type: 'object',
    properties: {
      sigma_mm: {
        title: 'Sigma',
        description: 'Standard deviation in mm.',
        unit: 'mm',
        anyOf: [
          { type: 'number', minimum: 0 },
          {
            type: 'array',
            items: { type: 'number', minimum: 0 },
            minItems: 3,
            maxItems: 3
          }
        ],
        default: 1.0
      },
      truncate: { title: 'Truncate', type: 'number', default: 4.0 },
      mode: { title: 'Edge', enum: ['mirror', 'nearest'], default: 'nearest' }
    }
  }
};

/** What a request was, as the server sees it. */
export interface SeenRequest {
  method: string;
  route: string;
  body: unknown;
}

/** Of the query's values. */
const NAMES = ['state', 'about', 'before', 'limit', 'offset', 'result'];

/** A server that answers from memory, and Jupyter's services around it. */
export class FakeServer {
  jobs: Job[] = [];
  tasks: readonly TaskInfo[] = [BLUR];
  rootOffset: string | null = '';
  readonly seen: SeenRequest[] = [];
  /** The query of each of them. */
  readonly queries: string[] = [];
  /** Answer of the next POST. */
  postReply: { status: number; body: unknown } = { status: 200, body: {} };
  isDown = false;
  /** Whether it is a Jupyter server without dlp-lab. */
  isForeign = false;
  /** What every job printed. */
  printed = '';
  /** While set, listings wait for it. */
  gate: Promise<void> | null = null;

  readonly settings = ServerConnection.makeSettings({
    baseUrl: 'http://localhost/user/x/',
    fetch: (input, init) => this._answer(input as Request, init)
  });

  private readonly _owner = {} as Event.IManager;
  private readonly _stream = new Stream<Event.IManager, Event.Emission>(
    this._owner
  );
  readonly connectionFailure = new Signal<object, Error>(this._owner);

  model(): JobsModel {
    const services = {
      events: { stream: this._stream },
      connectionFailure: this.connectionFailure
    };
    return new JobsModel(
      new Api(this.settings),
      services as unknown as Services
    );
  }

  emit(data: JSONObject, schema_id = JOB_EVENT_SCHEMA_ID): void {
    this._stream.emit({ ...data, schema_id });
  }

  get listings(): number {
    return this.seen.filter(
      ({ method, route }) => method === 'GET' && route === 'jobs'
    ).length;
  }

  private async _answer(
    request: Request,
    init?: RequestInit
  ): Promise<Response> {
    const route = new URL(request.url).pathname.replace(
      '/user/x/dlp-lab/api/v1/',
      ''
    );
    const { method } = request;
    const body: unknown =
      method === 'POST' ? JSON.parse(await request.text()) : undefined;
    this.seen.push({ method, route, body });
    // Lab adds the time, so that nothing is cached
    const query = new URL(request.url).searchParams;
    [...query.keys()]
      .filter(name => !NAMES.includes(name))
      .forEach(name => query.delete(name));
    this.queries.push(query.toString());
    if (this.isDown) {
      throw new TypeError('Failed to fetch');
    }
    if (this.isForeign) {
      return reply('<html>404</html>', 404);
    }
    if (method === 'POST') {
      return reply(this.postReply.body, this.postReply.status);
    }
    if (method === 'DELETE') {
      const uid = route.replace('jobs/', '');
      this.jobs = this.jobs.filter(job => job.uid !== uid);
      return new Response(null, { status: 204 });
    }
    // The reply is what was true when the request came.
    const found = this._found(route, query);
    if (route === 'jobs' && this.gate) {
      await Promise.race([this.gate, givenUp(request.signal)]);
    }
    return found === undefined
      ? reply({ code: 'NO_SUCH_JOB', message: 'No job has that uid.' }, 404)
      : reply(found, 200);
  }

  private _found(route: string, query: URLSearchParams): unknown {
    switch (route) {
      case 'tasks':
        return { tasks: this.tasks };
      case 'health':
        return { version: '1', root_offset: this.rootOffset, logs_dir: 'logs' };
      case 'jobs':
        return this._page(query);
    }
    const [, uid, what] = route.split('/');
    const job = this.jobs.find(one => one.uid === uid);
    if (what !== 'log' || job === undefined) {
      return job;
    }
    const text = this.printed.slice(Number(query.get('offset')));
    return { text, next_offset: this.printed.length };
  }

  private _counts(group: string, isOne: (job: Job) => boolean): GroupCounts {
    const count = (wanted: Job['state']) =>
      this.jobs.filter(job => isOne(job) && job.state === wanted).length;
    return {
      group,
      queued: count('queued'),
      running: count('running'),
      succeeded: count('succeeded'),
      failed: count('failed'),
      cancelled: count('cancelled')
    };
  }

  private _page(query: URLSearchParams): JobList {
    const states = query.get('state')?.split(',');
    const words = (query.get('about') ?? '').toLowerCase().split(/\s+/);
    const start =
      this.jobs.findIndex(({ uid }) => uid === query.get('before')) + 1;
    const found = this.jobs
      .slice(start)
      .filter(({ state }) => states?.includes(state) ?? true)
      .filter(({ input_dir }) => {
        const where = `${input_dir} ${BLUR.title}`.toLowerCase();
        return words.every(word => where.includes(word));
      });
    const limit = Number(query.get('limit') ?? 200);
    const jobs = found.slice(0, limit);
    const older = found.length - jobs.length;
    const next_before = older > 0 ? jobs[jobs.length - 1].uid : null;
    const names = new Set(jobs.map(({ group }) => group));
    names.delete(null);
    const groups = [...names].map(name =>
      this._counts(name!, ({ group }) => group === name)
    );
    const { running, queued } = this._counts('', () => true);
    return { jobs, older, next_before, groups, running, queued };
  }
}

/** Rejects when the request is given up. */
function givenUp(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error))
  );
}

function reply(body: unknown, status: number): Response {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return new Response(text, { status });
}
