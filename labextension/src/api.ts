import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import {
  ErrorReply,
  HeaderElement,
  HeaderReply,
  Health,
  Job,
  JobList,
  JobLogPart,
  JobRequest,
  OpenVolume,
  SeriesList,
  TaskInfo,
  TaskList,
  VolumeReply
} from './generated/types';

const BASE = 'dlp-lab/api/v1';
/** A listing that is not there by then will not come: a connection can be gone without a word. */
const PATIENCE_MS = 30000;

/** Code of the refusal by a server that knows none of our addresses. */
export const NO_EXTENSION = 'NO_EXTENSION';

/** The server's refusal; `message` is a sentence for the user, `code` is for programs. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string
  ) {
    super(message);
  }
}

/** Which jobs a listing is about. */
export interface Listing {
  /** Only those in one of these states; all when empty. */
  states?: readonly Job['state'][];
  /** Only those with each of these words in the name of folder or task. */
  about?: string;
  /** Only those submitted before the job of this uid. */
  before?: string;
  /** How many at most. */
  limit?: number;
}

/** The file `measurements.json` of a result, as far as it is shown. */
export interface Measurements {
  labels: readonly { number: number; name: string }[];
}

/** A job as an answer told of it. */
export interface ToldJob extends Job {
  /** When the answer came, in ms of a clock of this page that nobody puts back. */
  readonly toldAt: number;
}

/** A listing of jobs as it came. */
export interface ToldJobs extends JobList {
  jobs: ToldJob[];
}

/** The REST routes of the server extension. Every method throws an error whose message can be shown. */
export class Api {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  /** The newest jobs of those asked for, newest first, and how many older ones there are. */
  async jobs(listing: Listing = {}): Promise<ToldJobs> {
    const { states = [], about = '', before, limit } = listing;
    const page = await this._soon<JobList>('jobs', {
      query: {
        ...(states.length > 0 && { state: states.join(',') }),
        ...(about.trim() !== '' && { about }),
        ...(before !== undefined && { before }),
        ...(limit !== undefined && { limit: String(limit) })
      }
    });
    return { ...page, jobs: page.jobs.map(told) };
  }

  /** What a job printed, from a byte on. */
  async log(uid: string, offset: number): Promise<JobLogPart> {
    const query = { offset: String(offset) };
    return this._request<JobLogPart>(jobRoute(uid, '/log'), { query });
  }

  async job(uid: string): Promise<ToldJob> {
    return told(await this._request<Job>(jobRoute(uid)));
  }

  async health(): Promise<Health> {
    return this._soon<Health>('health');
  }

  async tasks(): Promise<TaskInfo[]> {
    return (await this._soon<TaskList>('tasks')).tasks;
  }

  async submit(request: JobRequest): Promise<ToldJob> {
    return told(await this._request<Job>('jobs', { body: request }));
  }

  /** The series of a folder, each with its verdict. */
  async series(inputDir: string): Promise<SeriesList> {
    return this._request<SeriesList>('series', { query: { dir: inputDir } });
  }

  /** The middle slice of a series as a PNG. */
  async thumbnail(inputDir: string, seriesInstanceUid: string): Promise<Blob> {
    const response = await this._answer('series/thumbnail', {
      query: { dir: inputDir, series: seriesInstanceUid }
    });
    return response.blob();
  }

  async cancel(uid: string): Promise<ToldJob> {
    return this._change(uid, '/cancel');
  }

  async retry(uid: string): Promise<ToldJob> {
    return this._change(uid, '/retry');
  }

  /** Forget a job that has ended, and delete its result when that is asked for. */
  async remove(uid: string, withResult: boolean): Promise<void> {
    const query = { result: withResult ? 'delete' : 'keep' };
    await this._answer(jobRoute(uid), { method: 'DELETE', query });
  }

  /** What a job measured of the structures that it found. */
  async measurements(uid: string): Promise<Measurements> {
    return this._request<Measurements>(
      jobRoute(uid, '/files/measurements.json')
    );
  }

  async openVolume(request: OpenVolume): Promise<VolumeReply> {
    return this._request<VolumeReply>('volumes', { body: request });
  }

  async closeVolume(id: string): Promise<void> {
    await this._answer(`volumes/${id}`, { method: 'DELETE' });
  }

  /** Bytes of planes, one behind the other; packed on the way where the server is another machine. */
  async planes(
    id: string,
    places: readonly { axis: number; index: number }[],
    signal: AbortSignal
  ): Promise<ArrayBuffer> {
    const at = places.map(({ axis, index }) => `${axis}.${index}`).join(',');
    const response = await this._answer(`volumes/${id}/planes`, {
      query: { at, ...(!this._isNear && { encoding: 'gzip' }) },
      signal
    });
    return response.arrayBuffer();
  }

  /** The DICOM header of a slice. */
  async header(id: string, slice: number): Promise<HeaderElement[]> {
    const reply = await this._request<HeaderReply>(
      `volumes/${id}/headers/${slice}`
    );
    return reply.elements;
  }

  private async _change(uid: string, what: string): Promise<ToldJob> {
    const route = jobRoute(uid, what);
    return told(await this._request<Job>(route, { body: {} }));
  }

  /** For what a server answers at once. */
  private async _soon<Reply>(
    route: string,
    options: Options = {}
  ): Promise<Reply> {
    const abort = new AbortController();
    const timer = setTimeout(
      () => abort.abort(new Error(`it took longer than ${PATIENCE_MS} ms`)),
      PATIENCE_MS
    );
    try {
      return await this._request<Reply>(route, {
        ...options,
        signal: abort.signal
      });
    } finally {
      clearTimeout(timer);
    }
  }

  private async _request<Reply>(
    route: string,
    options: Options = {}
  ): Promise<Reply> {
    const response = await this._answer(route, options);
    return (await response.json()) as Reply;
  }

  /** GET, or POST where there is a body, unless another method is named. */
  private async _answer(route: string, options: Options): Promise<Response> {
    const { method, query = {}, body, signal } = options;
    const url =
      URLExt.join(this._settings.baseUrl, BASE, route) +
      URLExt.objectToQueryString(query);
    const init: RequestInit = {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal })
    };
    const response = await ServerConnection.makeRequest(
      url,
      init,
      this._settings
    ).catch((error: Error) => {
      throw new Error(`The server does not answer: ${error.message}.`);
    });
    if (!response.ok) {
      throw await refusal(response);
    }
    return response;
  }

  private get _isNear(): boolean {
    const { hostname } = new URL(this._settings.baseUrl);
    return ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
  }
}

interface Options {
  method?: 'DELETE';
  query?: Record<string, string>;
  body?: object;
  /** Gives the request up. */
  signal?: AbortSignal;
}

function told(job: Job): ToldJob {
  return { ...job, toldAt: performance.now() };
}

function jobRoute(uid: string, what = ''): string {
  return `jobs/${encodeURIComponent(uid)}${what}`;
}

async function refusal(response: Response): Promise<Refused> {
  try {
    const { code, message } = (await response.json()) as Partial<ErrorReply>;
    if (code && message) {
      return new Refused(code, message);
    }
  } catch {
    // Not from dlp-lab but from Jupyter or a proxy before it, whose page helps nobody.
  }
  return response.status === 404
    ? new Refused(
        NO_EXTENSION,
        "The server does not have dlp-lab's part, or it is not enabled: run `jupyter server extension enable dlp_lab`, " +
          'restart the server and load this page again.'
      )
    : new Refused('NO_ANSWER', sentenceOf(response.status));
}

/** What an answer means that says no more than its status. */
function sentenceOf(status: number): string {
  const answer = `The server answered with status ${status}.`;
  return status === 401 || status === 403
    ? `${answer} You are logged in no more, or may not do this: reload the page to log in again.`
    : `${answer} Try again in a moment; its log may tell more.`;
}
