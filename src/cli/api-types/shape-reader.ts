import type ts from 'typescript-6';
import { CommandFailed } from '../command.js';
import type { ObjectShape, Property, Shape, TupleItem } from './shape.js';
import { isReadonly, linesOfComment } from './symbols.js';

/** The names of the properties on the way to a type. */
type Path = readonly string[];

/** The deepest nesting; data are never that deep, but a type that instantiates itself with new arguments has no end. */
const DEEPEST = 40;

/**
 * Reads the shape of a type from the compiler. One type gives one object.
 *
 * @throws CommandFailed for a type that JSON cannot show: a function, a class with methods, a symbol
 */
export class ShapeReader {
  private readonly objects = new Map<ts.Type, ObjectShape | 'being read'>();

  constructor(
    private readonly compiler: typeof ts,
    private readonly checker: ts.TypeChecker,
  ) {}

  read(type: ts.Type, path: Path): Shape {
    if (path.length > DEEPEST)
      throw unwritable(path.slice(0, 8), 'nests without an end. Annotate a type that has one.');
    if (this.isWrittenByCompiler(type)) return text(this.nameOf(type));
    if (type.isUnion()) return this.union(type.types, path);
    if (type.isStringLiteral()) return text(quoted(type.value));
    if (type.isNumberLiteral()) return text(String(type.value));
    if (this.checker.isTupleType(type)) return this.tuple(type as ts.TupleTypeReference, path);
    if (this.checker.isArrayType(type)) return this.list(type as ts.TypeReference, path);
    if (type.isIntersection() && !type.types.every((member) => this.isObject(member))) {
      return { kind: 'intersection', members: type.types.map((member) => this.read(member, path)) };
    }
    if (type.isIntersection() || this.isObject(type)) return this.object(type, path);
    throw unwritable(path, `is ${this.nameOf(type)}, which JSON cannot show.`);
  }

  private isWrittenByCompiler({ flags }: ts.Type): boolean {
    const { TypeFlags: Flag } = this.compiler;
    const nothing = Flag.Any | Flag.Unknown | Flag.Never | Flag.Void | Flag.Undefined | Flag.Null;
    const texts = Flag.String | Flag.TemplateLiteral | Flag.StringMapping;
    const others = Flag.Number | Flag.Boolean | Flag.BooleanLiteral | Flag.NonPrimitive;
    return (flags & (nothing | texts | others)) !== 0;
  }

  private isObject({ flags }: ts.Type): boolean {
    return (flags & this.compiler.TypeFlags.Object) !== 0;
  }

  private nameOf(type: ts.Type): string {
    return this.checker.typeToString(type, undefined, this.compiler.TypeFormatFlags.NoTruncation);
  }

  private union(types: readonly ts.Type[], path: Path): Shape {
    const isBoolean = ({ flags }: ts.Type) => (flags & this.compiler.TypeFlags.BooleanLiteral) !== 0;
    const both = types.filter(isBoolean).length === 2;
    const members = types.filter((type) => !both || !isBoolean(type)).map((type) => this.read(type, path));
    if (both) members.push(text('boolean'));
    const [only, ...others] = members;
    return only && others.length === 0 ? only : { kind: 'union', members };
  }

  private list(type: ts.TypeReference, path: Path): Shape {
    const [item = this.checker.getUnknownType()] = this.checker.getTypeArguments(type);
    return { kind: 'list', readonly: type.target.symbol.name === 'ReadonlyArray', item: this.read(item, path) };
  }

  private tuple(type: ts.TupleTypeReference, path: Path): Shape {
    const { Optional, Rest } = this.compiler.ElementFlags;
    const items = this.checker.getTypeArguments(type).map((item, index): TupleItem => {
      const flags = type.target.elementFlags[index] ?? 0;
      if (flags & Rest) return { mark: '...', shape: { kind: 'list', readonly: false, item: this.read(item, path) } };
      return flags & Optional
        ? { mark: '?', shape: this.readPresent(item, path) }
        : { mark: '', shape: this.read(item, path) };
    });
    return { kind: 'tuple', readonly: type.target.readonly, items };
  }

  private object(type: ts.Type, path: Path): Shape {
    const known = this.objects.get(type);
    if (known === 'being read') return { kind: 'recurrence', of: () => this.finished(type) };
    if (known) return known;
    if (this.isFunction(type)) throw unwritable(path, `is ${this.nameOf(type)}, and JSON cannot show a function.`);
    this.objects.set(type, 'being read');
    const shape: ObjectShape = {
      kind: 'object',
      properties: [...this.indexSignatures(type, path), ...this.properties(type, path)],
    };
    this.objects.set(type, shape);
    return shape;
  }

  private isFunction(type: ts.Type): boolean {
    return type.getCallSignatures().length + type.getConstructSignatures().length > 0;
  }

  private finished(type: ts.Type): ObjectShape {
    const shape = this.objects.get(type);
    if (typeof shape !== 'object') throw new TypeError(`${this.nameOf(type)} is asked for while it is read.`);
    return shape;
  }

  private indexSignatures(type: ts.Type, path: Path): Property[] {
    return this.checker.getIndexInfosOfType(type).map((info) => ({
      name: `[key: ${this.nameOf(info.keyType)}]`,
      readonly: info.isReadonly,
      optional: false,
      comment: [],
      shape: this.read(info.type, [...path, 'value']),
    }));
  }

  /**
   * The properties as declared. Those of a mapped type over plain names are sorted by name, because the checker returns them in the order
   * in which it met them.
   */
  private properties(type: ts.Type, path: Path): Property[] {
    const symbols = [...this.checker.getPropertiesOfType(type)];
    if (symbols.some(({ declarations = [] }) => declarations.length === 0)) symbols.sort(byName);
    return symbols.map((symbol) => {
      const valueType = this.checker.getTypeOfSymbol(symbol);
      if (symbol.name.startsWith('__@'))
        throw unwritable(path, `is ${this.nameOf(type)}, which has a symbol for a key.`);
      if (this.isFunction(valueType)) {
        throw unwritable(path, `is ${this.nameOf(type)}: ${symbol.name} is a function, which JSON cannot show.`);
      }
      return this.property(symbol, valueType, [...path, symbol.name]);
    });
  }

  private property(symbol: ts.Symbol, type: ts.Type, path: Path): Property {
    const optional = (symbol.flags & this.compiler.SymbolFlags.Optional) !== 0;
    return {
      name: /^[A-Za-z_$][\w$]*$/.test(symbol.name) ? symbol.name : quoted(symbol.name),
      readonly: isReadonly(this.compiler, symbol),
      optional,
      comment: linesOfComment(this.compiler, this.checker, symbol),
      shape: optional ? this.readPresent(type, path) : this.read(type, path),
    };
  }

  /** Reads a type without undefined, which JSON does not have: an optional property is either missing or has a value. */
  private readPresent(type: ts.Type, path: Path): Shape {
    const isPresent = ({ flags }: ts.Type) => (flags & this.compiler.TypeFlags.Undefined) === 0;
    return type.isUnion() ? this.union(type.types.filter(isPresent), path) : this.read(type, path);
  }
}

function text(written: string): Shape {
  return { kind: 'text', text: written };
}

function quoted(value: string): string {
  const escaped = JSON.stringify(value).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'");
  return `'${escaped}'`;
}

function byName(a: ts.Symbol, b: ts.Symbol): number {
  return a.name < b.name ? -1 : 1;
}

function unwritable(path: Path, reason: string): CommandFailed {
  return new CommandFailed(`${path.join('.')} ${reason}`);
}
