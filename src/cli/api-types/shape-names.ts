import type { ObjectShape, Recurrence, Shape } from './shape.js';

/** The fewest properties of a named type; a smaller type is easier to read in place. */
const SMALLEST = 3;

/** Paths to a row of the consumer's model: a type on one of them is named after the row, wherever else it occurs. */
const ROW =
  /^(?:(.+)\.)?(?:actions\.(?:list|retrieve|create|update|patch)\.reply(?:\.results)?|observers\.onInstance\.event\.data)$/;

interface Sighting {
  readonly shape: ObjectShape;
  readonly paths: string[];
  recursive: boolean;
}

/**
 * Names for the object types that occur more than once, and for those that contain themselves. Each name comes from the place where its
 * type occurs, because the server's own names are those of entities and classes: `RoomsRow`, `RoomsCreateMessageReply`.
 */
export class ShapeNames {
  private readonly sightings = new Map<string, Sighting>();
  private readonly keys = new Map<Shape, string>();
  private readonly names = new Map<string, string>();

  /** @param taken names with another meaning in the file */
  constructor(root: Shape, taken: readonly string[]) {
    this.visit(root, []);
    const used = new Set(taken);
    for (const [key, sighting] of this.sightings) {
      if (!deservesName(sighting)) continue;
      const name = free(nameFrom(sighting.paths), used);
      used.add(name);
      this.names.set(key, name);
    }
  }

  /** The name of a type, if it has one. */
  of(shape: ObjectShape): string | undefined {
    return this.names.get(this.keyOf(shape));
  }

  /** The name of a type that contains itself; it always has one. */
  ofRecurrence(shape: Recurrence): string {
    const name = this.of(shape.of());
    if (name === undefined) throw new TypeError('A type that contains itself got no name.');
    return name;
  }

  /** Every named type, in order of first occurrence. */
  all(): { readonly name: string; readonly shape: ObjectShape }[] {
    return [...this.names].flatMap(([key, name]) => {
      const sighting = this.sightings.get(key);
      return sighting ? [{ name, shape: sighting.shape }] : [];
    });
  }

  private visit(shape: Shape, path: readonly string[]): void {
    if (shape.kind === 'recurrence') {
      const sighting = this.sightings.get(this.keyOf(shape.of()));
      if (sighting) sighting.recursive = true;
    } else if (shape.kind === 'object') {
      this.visitObject(shape, path);
    } else {
      for (const part of partsOf(shape)) this.visit(part, path);
    }
  }

  private visitObject(shape: ObjectShape, path: readonly string[]): void {
    const key = this.keyOf(shape);
    const known = this.sightings.get(key);
    if (known) return void known.paths.push(path.join('.'));
    this.sightings.set(key, { shape, paths: [path.join('.')], recursive: false });
    for (const { name, shape: value } of shape.properties) this.visit(value, [...path, name]);
  }

  /** A key that is equal for types with the same text. */
  private keyOf(shape: Shape): string {
    const known = this.keys.get(shape);
    if (known !== undefined) return known;
    // A type inside itself is identified by the number that it got here.
    if (shape.kind === 'object') this.keys.set(shape, `#${this.keys.size}`);
    const key = this.write(shape);
    this.keys.set(shape, key);
    return key;
  }

  private write(shape: Shape): string {
    switch (shape.kind) {
      case 'text':
        return shape.text;
      case 'recurrence':
        return this.keyOf(shape.of());
      case 'object':
        return JSON.stringify(shape.properties.map(({ shape: value, ...rest }) => [rest, this.keyOf(value)]));
      case 'union':
        return JSON.stringify(['union', ...shape.members.map((member) => this.keyOf(member)).sort()]);
      default:
        return JSON.stringify([shape.kind, partsOf(shape).map((part) => this.keyOf(part)), marksOf(shape)]);
    }
  }
}

function partsOf(shape: Exclude<Shape, ObjectShape>): readonly Shape[] {
  if (shape.kind === 'list') return [shape.item];
  if (shape.kind === 'tuple') return shape.items.map((item) => item.shape);
  return shape.kind === 'union' || shape.kind === 'intersection' ? shape.members : [];
}

function marksOf(shape: Shape): unknown {
  if (shape.kind === 'tuple') return [shape.readonly, shape.items.map(({ mark }) => mark)];
  return shape.kind === 'list' && shape.readonly;
}

function deservesName({ shape, paths, recursive }: Sighting): boolean {
  return recursive || (paths.length > 1 && shape.properties.length >= SMALLEST && !isDeclarationOfMember(shape));
}

/** Whether the type describes an action or an observer, which the file writes in a form of its own. */
function isDeclarationOfMember({ properties }: ObjectShape): boolean {
  return /^kwargs,(reply,part|event)$/.test(properties.map(({ name }) => name).join());
}

function nameFrom(paths: readonly string[]): string {
  for (const path of paths) {
    const row = ROW.exec(path);
    if (row) return pascal([...(row[1]?.split('.') ?? []), 'row']);
  }
  return pascal((paths[0] ?? '').split('.').filter((part) => part !== 'actions' && part !== 'observers'));
}

function pascal(words: readonly string[]): string {
  const name = words
    .flatMap((word) => word.split(/[^A-Za-z0-9]+/))
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join('');
  return /^[A-Z]/.test(name) ? name : `Type${name}`;
}

function free(name: string, used: ReadonlySet<string>): string {
  let candidate = name;
  for (let count = 2; used.has(candidate); count++) candidate = `${name}${count}`;
  return candidate;
}
