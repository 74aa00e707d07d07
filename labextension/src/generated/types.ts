// Generated from the Python structs by tools/generate_typescript.py. Do not edit.

/** Body of every refusal of the versioned API. */
export interface ErrorReply {
  code: string;
  message: string;
}

/** Reply of the health route. */
export interface Health {
  /** Of dlp-lab. */
  version: string;
  /** Where the root is in the folder that Jupyter serves: "" the same, "a/b" below it, null outside. */
  root_offset: string | null;
  /** Folder of the jobs' logs, relative to the root of dlp-lab. */
  logs_dir: string;
}

/** A job and what became of it. */
export interface Job {
  /** 32 lower-case hexadecimal digits, unguessable; also the name of the output folder. */
  uid: string;
  /** As asked, with defaults filled in. */
  task: string;
  /** As asked, with defaults filled in. */
  input_dir: string;
  /** As asked, with defaults filled in. */
  params: Record<string, unknown>;
  /** As asked, with defaults filled in. */
  keep_hdf5: boolean;
  /** Where it stands. */
  state: 'cancelled' | 'failed' | 'queued' | 'running' | 'succeeded';
  /** UTC, ISO 8601 with milliseconds. */
  submitted_at: string;
  /** 0 to 1. */
  progress: number;
  /** The step at work, or the sentence that says how it ended. */
  message: string;
  /** Stable code of the reason when it failed, such as "MISSING_SLICES". */
  error_code: string | null;
  /** Folder of the result, relative to the root; only when it succeeded. */
  output_dir: string | null;
  /** What was noticed in the input and accepted. */
  warnings: Array<string>;
  /** UTC, ISO 8601 with milliseconds. */
  started_at: string | null;
  /** UTC, ISO 8601 with milliseconds. */
  ended_at: string | null;
  /** How often it was started. */
  attempts: number;
  /** As asked, with defaults filled in. */
  read: ReadOptions;
  /** As asked, with defaults filled in. */
  priority: number;
  /** Its place in the queue while it waits, 1 being the next to start; only in an answer about the job or in a listing, for it changes with every other job. */
  position: number | null;
  /** As asked, with defaults filled in. */
  output_form: 'multiframe' | 'parametric_map' | 'series';
}

/** What Jupyter's event bus carries when a job changes. It reaches every client, so it names no folder, no file. */
export interface JobEvent {
  uid: string;
  state: 'cancelled' | 'failed' | 'queued' | 'running' | 'succeeded';
  progress: number;
}

/** Reply of the job listing, newest first. */
export interface JobList {
  /** The newest ones of those asked for. */
  jobs: Array<Job>;
  /** How many more there are; `before` the last one's uid lists them. */
  older: number;
}

/** A part of what a job printed. */
export interface JobLogPart {
  /** What it is. */
  text: string;
  /** Where it ends, in bytes; what is printed later begins there. */
  next_offset: number;
}

/** What is asked. */
export interface JobRequest {
  /** Name of an installed task. */
  task: string;
  /** Folder with the DICOM series, relative to the root, with "/" between names. */
  input_dir: string;
  /** The task's parameters; absent ones take their defaults. */
  params?: Record<string, unknown>;
  /** Whether the result folder also gets the source and the result volume as HDF5 + JSON. */
  keep_hdf5?: boolean;
  /** Which images of the folder, and which repairs. */
  read?: ReadOptions;
  /** Jobs of a higher one start first; among equals, those submitted first. */
  priority?: number;
  /** Whether the result is a series like its source, one multi-frame image or one Parametric Map. */
  output_form?: 'multiframe' | 'parametric_map' | 'series';
}

/** Which images of a folder to read, and which repairs to make: by default all, and none. */
export interface ReadOptions {
  series: string | null;
  select: Record<string, unknown>;
  gaps: 'pad' | 'refuse';
  irregular: 'refuse' | 'resample';
  tilt: 'keep' | 'refuse' | 'resample';
}

/** A task as the doors show it: its name, its title and the JSON Schema of its parameters. */
export interface TaskInfo {
  name: string;
  title: string;
  description: string;
  params_schema: Record<string, unknown>;
}

/** Reply of the task listing. */
export interface TaskList {
  tasks: Array<TaskInfo>;
}
