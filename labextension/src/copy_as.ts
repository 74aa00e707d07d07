import { Job } from './generated/types';
import { changedRead } from './read_options';

/** The doors that a job can be put through again. */
export type Door = 'python' | 'curl' | 'cli';

/** What of a job was asked for, without what is the default anyway. */
type Asked = Pick<
  Job,
  'task' | 'input_dir' | 'params' | 'keep_hdf5' | 'priority' | 'output_form'
> & { read: Partial<Job['read']> };

/**
 * A job as something to paste elsewhere, which asks for the same again.
 *
 * The server tells its kernels and terminals its root by `DLP_LAB_ROOT`, so that Python and command line work in any folder.
 *
 * @param baseUrl - Of the Jupyter server, with "/" at its end.
 */
export function copyOf(job: Job, door: Door, baseUrl: string): string {
  const asked = { ...job, read: changedRead(job.read) };
  switch (door) {
    case 'python':
      return asPython(asked);
    case 'curl':
      return asCurl(asked, baseUrl);
    case 'cli':
      return asCommandLine(asked);
  }
}

function asPython(asked: Asked): string {
  const named: [string, unknown][] = [
    ...Object.entries(asked.params),
    ...Object.entries(options(asked))
  ];
  const folder = `Path(os.environ["DLP_LAB_ROOT"], ${python(asked.input_dir)})`;
  const values = named.map(([name, value]) => `${name}=${python(value)}`);
  return [
    'import os',
    'from pathlib import Path',
    '',
    'import dlp_lab as dlp',
    '',
    `job = dlp.submit(${[python(asked.task), folder, ...values].join(', ')}).wait()`,
    ''
  ].join('\n');
}

function asCurl(asked: Asked, baseUrl: string): string {
  const body = {
    task: asked.task,
    input_dir: asked.input_dir,
    params: asked.params,
    ...options(asked)
  };
  return [
    'curl -H "Authorization: token $JUPYTER_TOKEN" \\',
    `    -d ${shell(JSON.stringify(body))} \\`,
    `    ${shell(`${baseUrl}dlp-lab/api/v1/jobs`)}`,
    ''
  ].join('\n');
}

function asCommandLine(asked: Asked): string {
  const { select = {}, ...read } = asked.read;
  const flags: [string, string][] = [
    ...Object.entries(asked.params).map(([name, value]): [string, string] => [
      name.replace(/_/g, '-'),
      parameterText(value)
    ]),
    ...Object.entries(read).map(([name, value]): [string, string] => [
      name,
      String(value)
    ]),
    ...Object.entries(select).map(([keyword, value]): [string, string] => [
      'select',
      `${keyword}=${String(value)}`
    ])
  ];
  if (asked.priority !== 0) {
    flags.push(['priority', String(asked.priority)]);
  }
  if (asked.output_form !== 'series') {
    flags.push(['output-form', asked.output_form]);
  }
  const words = [
    'dlp-lab run',
    shell(asked.task),
    `"$DLP_LAB_ROOT"/${shell(asked.input_dir)}`,
    ...flags.map(([name, text]) => `--${name}=${shell(text)}`),
    ...(asked.keep_hdf5 ? ['--keep-hdf5'] : [])
  ];
  return `${words.join(' ')}\n`;
}

/** The text of a flag that the command line reads as this value: JSON, lists without brackets, or else text. */
function parameterText(value: unknown): string {
  return typeof value === 'string' && !isJson(value) && !isJson(`[${value}]`)
    ? value
    : JSON.stringify(value);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** What is not a parameter of the task, where it is not the default. */
function options(asked: Asked): Record<string, unknown> {
  return {
    ...(Object.keys(asked.read).length > 0 && { read: asked.read }),
    ...(asked.keep_hdf5 && { keep_hdf5: true }),
    ...(asked.priority !== 0 && { priority: asked.priority }),
    ...(asked.output_form !== 'series' && { output_form: asked.output_form })
  };
}

/** A word that a POSIX shell takes as it is. */
function shell(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text)
    ? text
    : `'${text.replace(/'/g, "'\\''")}'`;
}

/** A JSON value as a Python literal. */
function python(value: unknown): string {
  if (value === null || value === undefined) {
    return 'None';
  }
  if (typeof value === 'boolean') {
    return value ? 'True' : 'False';
  }
  if (Array.isArray(value)) {
    return `[${value.map(python).join(', ')}]`;
  }
  if (typeof value === 'object') {
    const items = Object.entries(value).map(
      ([key, item]) => `${python(key)}: ${python(item)}`
    );
    return `{${items.join(', ')}}`;
  }
  // A JSON string is a Python string, but that Python knows no pairs of surrogates; non-ASCII characters stand as they are.
  return JSON.stringify(value);
}
