import { TaskInfo } from './generated/types';

/** What of a parameter's JSON Schema the form understands. */
interface ParamSchema {
  title?: string;
  description?: string;
  unit?: string;
  type?: string;
  enum?: unknown[];
  anyOf?: ParamSchema[];
  default?: unknown;
}

/** How a parameter is asked for. `json` is the way out for what has no form of its own. */
export type FieldKind =
  'choice' | 'boolean' | 'number' | 'numbers' | 'string' | 'json';

/** One parameter of a task. */
export interface Field {
  name: string;
  label: string;
  description: string;
  kind: FieldKind;
  choices: string[];
  /** The default as it stands in the form; "true" or "false" for a boolean. */
  defaultText: string;
}

/** What the user entered does not have the form of the parameter. */
export class BadEntry extends Error {}

/** The form's fields, in the order of the schema. */
export function fieldsOf(schema: TaskInfo['params_schema']): Field[] {
  const properties = (schema.properties ?? {}) as Record<string, ParamSchema>;
  return Object.entries(properties).map(([name, param]) => {
    const kind = kindOf(param);
    const title = param.title ?? name;
    return {
      name,
      label: param.unit ? `${title} (${param.unit})` : title,
      description: param.description ?? '',
      kind,
      choices: kind === 'choice' ? (param.enum ?? []).map(String) : [],
      defaultText: textOf(kind, param.default)
    };
  });
}

/** A value as it stands in the form. */
export function textOf(kind: FieldKind, value: unknown): string {
  if (value === undefined || value === null) {
    return '';
  }
  if (kind === 'json') {
    return JSON.stringify(value);
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
  return param.type === 'boolean' || param.type === 'string'
    ? param.type
    : 'json';
}
