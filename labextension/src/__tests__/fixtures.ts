import { Event, ServerConnection } from '@jupyterlab/services';
import { JSONObject } from '@lumino/coreutils';
import { Signal, Stream } from '@lumino/signaling';
import { Api } from '../api';
import { Job, TaskInfo } from '../generated/types';
import { JOB_EVENT_SCHEMA_ID, JobsModel, Services } from '../jobs_model';

export function makeJob(changes: Partial<Job> = {}): Job {
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
    ...changes
  };
}

/** The reference task, as the server describes it. */
export const BLUR: TaskInfo = {
  name: '3dblur',
  title: '3-D Gaussian blur',
  description: 'Smooths with a Gaussian.',
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

/** A server that answers from memory, and Jupyter's services around it. */
export class FakeServer {
  jobs: Job[] = [];
  older = 0;
  rootOffset: string | null = '';
  readonly seen: SeenRequest[] = [];
  /** Answer of the next POST. */
  postReply: { status: number; body: unknown } = { status: 200, body: {} };
  isDown = false;
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
    if (this.isDown) {
      throw new TypeError('Failed to fetch');
    }
    if (method === 'POST') {
      return reply(this.postReply.body, this.postReply.status);
    }
    // The reply is what was true when the request came.
    const found = {
      tasks: { tasks: [BLUR] },
      health: { version: '1', root_offset: this.rootOffset, logs_dir: 'logs' },
      jobs: { jobs: this.jobs, older: this.older }
    }[route];
    if (route === 'jobs' && this.gate) {
      await this.gate;
    }
    return reply(found, 200);
  }
}

function reply(body: unknown, status: number): Response {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return new Response(text, { status });
}
