import { TaskInfo } from './generated/types';

/** What of a parameter's JSON Schema the form understands. */
interface ParamSchema {
  title?: string;
  description?: string;
  unit?: string;
  type?: string;
  enum?: unknown[];
  anyOf?: ParamSchema[];
  /** Of the keys of an object. */
  propertyNames?: ParamSchema;
  /** Of the values of an object; false where it has none but those named. */
  additionalProperties?: ParamSchema | boolean;
  /** `dicom-series` is a SeriesInstanceUID in the job's folder, or another folder. */
  format?: string;
  default?: unknown;
}

/**
 * How a parameter is asked for: `named` are any number of texts, each with a name. `json` is the way out for what has
 * no form of its own.
 */
export type FieldKind =
  'choice' | 'boolean' | 'number' | 'numbers' | 'string' | 'named' | 'json';

/** What the two columns of `named` texts are called, and whether the texts name series. */
export interface NamedColumns {
  name: string;
  text: string;
  isSeries: boolean;
}

/** One parameter of a task. */
export interface Field {
  name: string;
  label: string;
  description: string;
  kind: FieldKind;
  choices: string[];
  /** Only of `named`. */
  columns?: NamedColumns;
  /** The default as it stands in the form; "true" or "false" for a boolean. */
  defaultText: string;
  /** Whether nothing entered means the default, which the server fills in. */
  mayBeEmpty: boolean;
}

/** What the user entered does not have the form of the parameter. */
export class BadEntry extends Error {}

/** The form's fields, in the order of the schema. */
export function fieldsOf(schema: TaskInfo['params_schema']): Field[] {
  const properties = (schema.properties ?? {}) as Record<string, ParamSchema>;
  return Object.entries(properties).map(([name, param]) => {
    const { isOptional, inner } = withoutNull(param);
    const kind =
      isOptional && inner.type === 'boolean' ? 'json' : kindOf(inner);
    const choices = kind === 'choice' ? (inner.enum ?? []).map(String) : [];
    return {
      name,
      label: labelOf(name, param),
      description: param.description ?? '',
      kind,
      choices: isOptional && kind === 'choice' ? ['', ...choices] : choices,
      ...(kind === 'named' && { columns: columnsOf(inner) }),
      defaultText: textOf(kind, param.default),
      mayBeEmpty:
        param.default !== undefined &&
        (isOptional || (kind !== 'string' && kind !== 'choice'))
    };
  });
}

/** What of a job's parameters is not the default, each as “title value”; all, by their names, without a schema. */
export function changedParams(
  params: Record<string, unknown>,
  schema: TaskInfo['params_schema'] | undefined
): string[] {
  const properties = (schema?.properties ?? {}) as Record<string, ParamSchema>;
  return Object.entries(params)
    .filter(([name, value]) => !isEqual(value, properties[name]?.default))
    .map(([name, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      return `${labelOf(name, properties[name])} ${text}`;
    });
}

function isEqual(value: unknown, other: unknown): boolean {
  return JSON.stringify(value) === JSON.stringify(other);
}

function labelOf(name: string, param: ParamSchema | undefined): string {
  const title = param?.title ?? name;
  return param?.unit ? `${title} (${param.unit})` : title;
}

/** A parameter that may be null, and what else it may be. */
function withoutNull(param: ParamSchema): {
  isOptional: boolean;
  inner: ParamSchema;
} {
  const choices = param.enum?.filter(choice => choice !== null);
  const kinds = param.anyOf?.filter(one => one.type !== 'null');
  const isOptional =
    choices?.length !== param.enum?.length ||
    kinds?.length !== param.anyOf?.length;
  const inner = kinds?.length === 1 ? kinds[0] : { ...param, anyOf: kinds };
  return { isOptional, inner: choices ? { ...inner, enum: choices } : inner };
}

/** A value as it stands in the form. */
export function textOf(kind: FieldKind, value: unknown): string {
  if (value === undefined || value === null) {
    return '';
  }
  if (kind === 'json') {
    return JSON.stringify(value);
  }
  if (kind === 'named') {
    return JSON.stringify(Object.entries(value));
  }
  return Array.isArray(value) ? value.join(', ') : String(value);
}

/**
 * The value of what stands in the form. Ranges are the server's to check.
 *
 * @throws BadEntry, naming the field and what it takes.
 */
export function valueOf(field: Field, text: string): unknown {
  switch (field.kind) {
    case 'boolean':
      return text === 'true';
    case 'number':
      return toNumber(field, text);
    case 'numbers': {
      const values = text.split(',').map(part => toNumber(field, part));
      return values.length === 1 ? values[0] : values;
    }
    case 'named':
      return namedTexts(field, pairsOf(text));
    case 'json':
      try {
        return JSON.parse(text) as unknown;
      } catch {
        throw new BadEntry(`${field.label}: “${text}” is not JSON.`);
      }
    default:
      return text;
  }
}

/** The names and texts that stand in the rows of a `named` field. */
export function pairsOf(text: string): [string, string][] {
  return text === '' ? [] : (JSON.parse(text) as [string, string][]);
}

/** Rows in which nothing stands are left out. */
function namedTexts(
  { label, columns }: Field,
  pairs: readonly [string, string][]
): Record<string, string> {
  const named = new Map<string, string>();
  for (const [name, text] of pairs.map(pair => pair.map(one => one.trim()))) {
    if (name === '' && text === '') {
      continue;
    }
    if (name === '' || text === '') {
      const missing = name === '' ? columns?.name : columns?.text;
      throw new BadEntry(
        `${label}: “${name || text}” has no ${missing?.toLowerCase()}; fill it in, or remove the row.`
      );
    }
    if (named.has(name)) {
      throw new BadEntry(
        `${label}: “${name}” stands in two rows; remove one of them.`
      );
    }
    named.set(name, text);
  }
  return Object.fromEntries(named);
}

function toNumber(field: Field, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    const expected =
      field.kind === 'numbers'
        ? 'give one number, or several with commas between them, such as 1.5 or 2, 1, 1'
        : 'give a number, such as 1.5';
    throw new BadEntry(
      `${field.label}: “${text.trim()}” is not a number; ${expected}.`
    );
  }
  return value;
}

function kindOf(param: ParamSchema): FieldKind {
  const isNumber = (schema: ParamSchema) =>
    schema.type === 'number' || schema.type === 'integer';
  if (param.enum?.every(choice => typeof choice === 'string')) {
    return 'choice';
  }
  if (isNumber(param)) {
    return 'number';
  }
  if (
    param.anyOf?.length &&
    param.anyOf.every(one => isNumber(one) || one.type === 'array')
  ) {
    return 'numbers';
  }
  if (valuesOf(param)?.type === 'string') {
    return 'named';
  }
  return param.type === 'boolean' || param.type === 'string'
    ? param.type
    : 'json';
}

/** The schema of an object's values, where its keys are the user's to choose. */
function valuesOf(param: ParamSchema): ParamSchema | undefined {
  const { type, additionalProperties: values } = param;
  return type === 'object' && typeof values === 'object' ? values : undefined;
}

function columnsOf(param: ParamSchema): NamedColumns {
  const values = valuesOf(param);
  return {
    name: param.propertyNames?.title ?? 'Name',
    text: values?.title ?? 'Text',
    isSeries: values?.format === 'dicom-series'
  };
}
