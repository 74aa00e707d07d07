import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import {
  ErrorReply,
  Health,
  Job,
  JobList,
  JobRequest,
  TaskInfo,
  TaskList
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

  /** GET, or POST where there is a body. */
  private async _request<Reply>(route: string, body?: object): Promise<Reply> {
    const url = URLExt.join(this._settings.baseUrl, BASE, route);
    const init: RequestInit =
      body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
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
    return (await response.json()) as Reply;
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
