// Generated from the Python structs by tools/generate_typescript.py. Do not edit.

/** Reply to several requests at once. */
export interface BatchReply {
  /** One for each, in their order. */
  verdicts: Array<BatchVerdict>;
}

/** Several jobs in one request; each is taken or refused by itself. */
export interface BatchRequest {
  /** What is asked. */
  jobs: Array<JobRequest>;
}

/** What became of one request of several. */
export interface BatchVerdict {
  /** The job, if it was taken. */
  job: Job | null;
  /** Why it was refused, if it was. */
  error: ErrorReply | null;
}

/** What of a refusal a program can use. */
export interface ErrorDetail {
  /** Name of the field or parameter that is wrong, with a dot between names. */
  parameter: string | null;
  /** Between which its values must lie, these two included. */
  minimum: number | null;
  /** Between which its values must lie, these two included. */
  maximum: number | null;
  /** Between which they must lie, without these two. */
  above: number | null;
  /** Between which they must lie, without these two. */
  below: number | null;
  /** Name of the file that is wrong, or the first of several. */
  file: string | null;
  /** Its index in the stack, along the normal, where there is one. */
  slice: number | null;
  /** Of the DICOM attribute, such as "(0020,0032)". */
  tag: string | null;
}

/** Body of every refusal of the versioned API. */
export interface ErrorReply {
  /** Stable, for programs, such as "BAD_PARAMETERS". */
  code: string;
  /** What came, what was expected and what to do, for people. */
  message: string;
  /** What of it programs can use; null where there is nothing to tell. */
  detail: ErrorDetail | null;
}

/** How many jobs of a group are in each state, whichever of them are listed. */
export interface GroupCounts {
  /** Its name. */
  group: string;
  /** How many jobs. */
  queued: number;
  /** How many jobs. */
  running: number;
  /** How many jobs. */
  succeeded: number;
  /** How many jobs. */
  failed: number;
  /** How many jobs. */
  cancelled: number;
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
  /** Where jobs run. */
  executor: string;
  /** How many may run at once. */
  slots: number;
  /** Whether any process starts the jobs of this queue. */
  has_dispatcher: boolean;
  /** Why no job can be started for now, such as a Dask scheduler that does not answer, where this server is the one that starts them; null where nothing is known to be wrong. */
  trouble: string | null;
  /** Left on the disk of the output folder. */
  free_bytes: number;
  /** How many there are in each state, whoever owns them. */
  jobs: Record<string, unknown>;
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
  /** Who submitted it, on a server that several users share; null where nobody had to say who they are. */
  owner: string | null;
  /** How long this attempt has been at work, or how long the last one took, by the server's clock; null before it started; only in an answer about the job or in a listing. */
  elapsed_seconds: number | null;
  /** How long it may still take if it goes on as until now; null unless it runs, and while it is too early to tell; only in an answer about the job or in a listing. */
  seconds_left: number | null;
  /** As asked, with defaults filled in. */
  group: string | null;
}

/** What Jupyter's event bus carries when a job changes. It reaches every client, so it names no folder, no file. */
export interface JobEvent {
  /** Of the job; null on a server that several users share, where a client asks for the jobs that it may see. */
  uid: string | null;
  /** Of the job; null on a server that several users share, where a client asks for the jobs that it may see. */
  state: 'cancelled' | 'failed' | 'queued' | 'running' | 'succeeded' | null;
  /** Of the job; null on a server that several users share, where a client asks for the jobs that it may see. */
  progress: number | null;
}

/** Reply of the job listing, newest first. */
export interface JobList {
  /** The newest ones of those asked for. */
  jobs: Array<Job>;
  /** How many more there are. */
  older: number;
  /** What to send as `before` to list them; null when there are none. */
  next_before: string | null;
  /** Each group that one of `jobs` is of. */
  groups: Array<GroupCounts>;
  /** How many of all jobs, also of those not asked for. */
  running: number;
  /** How many of all jobs, also of those not asked for. */
  queued: number;
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
  /** What the job is one of, such as the folder of a cohort relative to the root; listings can be of one. */
  group?: string | null;
}

/** A file that belongs to no series. */
export interface LeftOutFile {
  /** Its path relative to the folder, with "/" between names. */
  file: string;
  /** Why. */
  reason: string;
}

/** What to open: a path, or what a job read or wrote. */
export interface OpenVolume {
  /** File or folder relative to the root; of a DICOM file, the series is opened that it belongs to. */
  path?: string | null;
  /** SeriesInstanceUID, where a folder has several. */
  series?: string | null;
  /** Uid of a job, instead of a path. */
  job?: string | null;
  /** Whether the job's source, its result, or the labels it found in its source are meant. */
  which?: 'labels' | 'result' | 'source';
  /** Id of an open volume, along whose planes this one is looked at, interpolated where it lies on another grid. */
  compared_with?: string | null;
}

/** Which images of a folder to read, and which repairs to make: by default all, and none. */
export interface ReadOptions {
  series: string | null;
  select: Record<string, unknown>;
  gaps: 'pad' | 'refuse';
  irregular: 'refuse' | 'resample';
  tilt: 'keep' | 'refuse' | 'resample';
}

/** A file of a result: its name, its size and its type on the internet. */
export interface ResultFile {
  name: string;
  file_bytes: number;
  media_type: string;
}

/** The files of a result, in order of their names. */
export interface ResultFiles {
  files: Array<ResultFile>;
}

/** What is in a folder. */
export interface SeriesList {
  /** The folder, relative to the root. */
  input_dir: string;
  /** In order of first appearance. */
  series: Array<SeriesSummary>;
  /** How many files play no part, by reason. */
  ignored: Record<string, unknown>;
  /** Files that may be slices and cannot be understood; the first hundred. */
  refused: Array<LeftOutFile>;
  /** How many there are of them. */
  refused_files: number;
}

/** A series of a folder. */
export interface SeriesSummary {
  /** From its first file; the class by its name. */
  series_instance_uid: string;
  /** From its first file; the class by its name. */
  description: string;
  /** From its first file; the class by its name. */
  modality: string;
  /** From its first file; the class by its name. */
  sop_class: string;
  /** How many files belong to it. */
  files: number;
  /** How many images, where files hold several. */
  frames: number | null;
  /** "usable", or the code of the refusal, such as "MISSING_SLICES". */
  verdict: string;
  /** The sentence of the refusal. */
  reason: string;
  /** Of the volume, (slice, row, column); only when usable. */
  shape: [number, number, number] | null;
  /** Of the volume, (slice, row, column); only when usable. */
  spacing_kji_mm: [number, number, number] | null;
  /** What was noticed and accepted. */
  warnings: Array<string>;
  /** Size of its files. */
  file_bytes: number;
}

/** A task as the doors show it. */
export interface TaskInfo {
  /** What it is called, and what it is for. */
  name: string;
  /** What it is called, and what it is for. */
  title: string;
  /** What it is called, and what it is for. */
  description: string;
  /** Whether its result is an image, or labels of structures. */
  makes: 'image' | 'labels';
  /** JSON Schema of its parameters. */
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
  dtype: 'float32' | 'int16' | 'int32' | 'uint16';
  /** Of the values; null where the modality has none. */
  unit: string | null;
  /** DICOM Modality; null if unknown. */
  modality: string | null;
  /** The real value is the one that travels x slope + intercept. */
  slope: number;
  /** The real value is the one that travels x slope + intercept. */
  intercept: number;
  /** Whether least is to be shown white, as MONOCHROME1 asks for. */
  inverted: boolean;
  /** Least and greatest value to show, as the file recommends; null if it does not. */
  window: [number, number] | null;
  /** Name of the file of each slice; empty where there are none. */
  slice_files: Array<string>;
  /** Whether the headers of slices can be asked for. */
  has_headers: boolean;
  /** Whether it lies on another grid and is shown interpolated along the planes of the one it is compared with; it has no value where it does not reach. */
  resampled: boolean;
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
