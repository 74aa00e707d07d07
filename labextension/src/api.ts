import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import {
  ErrorReply,
  HeaderElement,
  HeaderReply,
  Health,
  Job,
  JobList,
  JobRequest,
  OpenVolume,
  TaskInfo,
  TaskList,
  VolumeReply
} from './generated/types';

const BASE = 'dlp-lab/api/v1';

/** The server's refusal; `message` is a sentence for the user, `code` is for programs. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string
  ) {
    super(message);
  }
}

/** The REST routes of the server extension. Every method throws an error whose message can be shown. */
export class Api {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  /** The newest jobs, newest first, and how many older ones there are. */
  async jobs(): Promise<JobList> {
    return this._request<JobList>('jobs');
  }

  async health(): Promise<Health> {
    return this._request<Health>('health');
  }

  async tasks(): Promise<TaskInfo[]> {
    return (await this._request<TaskList>('tasks')).tasks;
  }

  async submit(request: JobRequest): Promise<Job> {
    return this._request<Job>('jobs', request);
  }

  async cancel(uid: string): Promise<Job> {
    return this._request<Job>(`jobs/${encodeURIComponent(uid)}/cancel`, {});
  }

  async retry(uid: string): Promise<Job> {
    return this._request<Job>(`jobs/${encodeURIComponent(uid)}/retry`, {});
  }

  async openVolume(request: OpenVolume): Promise<VolumeReply> {
    return this._request<VolumeReply>('volumes', request);
  }

  async closeVolume(id: string): Promise<void> {
    await this._fetch(`volumes/${id}`, { method: 'DELETE' });
  }

  /** Bytes of a plane; packed on the way where the server is another machine. */
  async plane(
    id: string,
    axis: number,
    index: number,
    signal: AbortSignal
  ): Promise<ArrayBuffer> {
    const query = this._isNear ? '' : '?encoding=gzip';
    const response = await this._fetch(
      `volumes/${id}/planes/${axis}/${index}${query}`,
      { signal }
    );
    return response.arrayBuffer();
  }

  /** The DICOM header of a slice. */
  async header(id: string, slice: number): Promise<HeaderElement[]> {
    const reply = await this._request<HeaderReply>(
      `volumes/${id}/headers/${slice}`
    );
    return reply.elements;
  }

  /** GET, or POST where there is a body. */
  private async _request<Reply>(route: string, body?: object): Promise<Reply> {
    const init: RequestInit =
      body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const response = await this._fetch(route, init);
    return (await response.json()) as Reply;
  }

  private async _fetch(route: string, init: RequestInit): Promise<Response> {
    const url = URLExt.join(this._settings.baseUrl, BASE, route);
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

async function refusal(response: Response): Promise<Refused> {
  try {
    const { code, message } = (await response.json()) as Partial<ErrorReply>;
    if (code && message) {
      return new Refused(code, message);
    }
  } catch {
    // Not from dlp-lab but from Jupyter or a proxy before it, whose page helps nobody.
  }
  return new Refused(
    'NO_ANSWER',
    `The server answered with status ${response.status}. Is the server extension dlp_lab enabled?`
  );
}
