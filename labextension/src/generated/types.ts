// Generated from the Python structs by tools/generate_typescript.py. Do not edit.

/** Body of every refusal of the versioned API. */
export interface ErrorReply {
  code: string;
  message: string;
}

/** One element of a DICOM header, for people to read. */
export interface HeaderElement {
  /** How many sequences it is in. */
  depth: number;
  /** As "(0010,0010)". */
  tag: string;
  /** Its value representation. */
  vr: string;
  /** What the standard calls it. */
  name: string;
  /** As text; that of long or binary elements is described. */
  value: string;
}

/** The header of a slice. */
export interface HeaderReply {
  elements: Array<HeaderElement>;
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

/** What to open: a path, or what a job read or wrote. */
export interface OpenVolume {
  /** File or folder relative to the root; of a DICOM file, the series is opened that it belongs to. */
  path?: string | null;
  /** SeriesInstanceUID, where a folder has several. */
  series?: string | null;
  /** Uid of a job, instead of a path. */
  job?: string | null;
  /** Whether the job's source or its result is meant. */
  which?: 'result' | 'source';
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

/** A volume without its voxels. */
export interface VolumeInfo {
  /** Number of slices, rows and columns, (k, j, i). */
  shape: [number, number, number];
  /** Index to millimetres in the patient, four rows of four numbers. */
  affine_kji_to_lps: Array<Array<number>>;
  /** In which slices travel, little endian. */
  dtype: 'float32' | 'int16' | 'int32';
  /** Of the values; null where the modality has none. */
  unit: string | null;
  /** DICOM Modality; null if unknown. */
  modality: string | null;
  /** Whether least is to be shown white, as MONOCHROME1 asks for. */
  inverted: boolean;
  /** Least and greatest value to show, as the file recommends; null if it does not. */
  window: [number, number] | null;
  /** Name of the file of each slice; empty where there are none. */
  slice_files: Array<string>;
  /** Whether the headers of slices can be asked for. */
  has_headers: boolean;
  /** What was noticed in the source and accepted. */
  warnings: Array<string>;
}

/** An open volume. */
export interface VolumeReply {
  /** Names it until it is closed, or not looked at for ten minutes. */
  id: string;
  /** The volume without its voxels. */
  info: VolumeInfo;
}
