import type { ObjectShape, Property, Shape, TupleItem } from './shape.js';
import { ShapeNames } from './shape-names.js';

const WIDEST = 110;

/** The file's declarations in place of the server's `ActionApi` and `ObserverApi`. */
const ACTION = `type ActionApi<Kwargs, Reply, Part = never> = {
  readonly kwargs: Kwargs;
  readonly reply: Reply;
  readonly part: Part;
};
`;
const OBSERVER = `type ObserverApi<Kwargs, Event> = { readonly kwargs: Kwargs; readonly event: Event };
`;

/**
 * Writes a type as a declaration file without imports.
 *
 * @param name the exported name of the type
 */
export function printDeclarations(root: ObjectShape, name: string): string {
  const names = new ShapeNames(root, [name, 'ActionApi', 'ObserverApi', 'Record']);
  const printer = new ShapePrinter(names);
  const types = [
    printer.declaration(name, root),
    ...names.all().map((named) => printer.declaration(named.name, named.shape)),
  ].join('\n');
  const forms = [/\bActionApi</.test(types) ? ACTION : '', /\bObserverApi</.test(types) ? OBSERVER : ''];
  return [types, ...forms.filter((form) => form !== '')].join('\n');
}

class ShapePrinter {
  constructor(private readonly names: ShapeNames) {}

  declaration(name: string, shape: ObjectShape): string {
    return `export type ${name} = ${this.object(shape, '')};\n`;
  }

  private print(shape: Shape, indent: string): string {
    switch (shape.kind) {
      case 'text':
        return shape.text;
      case 'list':
        return `${shape.readonly ? 'readonly ' : ''}${this.item(shape.item, indent)}[]`;
      case 'tuple':
        return `${shape.readonly ? 'readonly ' : ''}[${shape.items.map((item) => this.tupleItem(item, indent)).join(', ')}]`;
      case 'union':
        return this.union(shape.members, indent);
      case 'intersection':
        return shape.members.map((member) => this.item(member, indent)).join(' & ');
      case 'recurrence':
        return this.names.ofRecurrence(shape);
      case 'object':
        return this.names.of(shape) ?? this.form(shape, indent) ?? this.object(shape, indent);
    }
  }

  /** The type of an item, in brackets where it needs them. */
  private item(shape: Shape, indent: string): string {
    const printed = this.print(shape, indent);
    const compound = shape.kind === 'union' || shape.kind === 'intersection';
    const readonly = (shape.kind === 'list' || shape.kind === 'tuple') && shape.readonly;
    return compound || readonly ? `(${printed})` : printed;
  }

  private tupleItem({ mark, shape }: TupleItem, indent: string): string {
    if (mark === '...') return `...${this.print(shape, indent)}`;
    return mark === '?' ? `${this.item(shape, indent)}?` : this.print(shape, indent);
  }

  private union(members: readonly Shape[], indent: string): string {
    const printed = [...new Set(members.map((member) => this.print(member, `${indent}    `)))].sort(byRank);
    const line = printed.join(' | ');
    if (!line.includes('\n') && indent.length + line.length <= WIDEST) return line;
    return printed.map((member) => `\n${indent}  | ${member}`).join('');
  }

  /** The short form of an action or an observer; undefined for other types. */
  private form({ properties }: ObjectShape, indent: string): string | undefined {
    if (!properties.every(({ readonly, optional }) => readonly && !optional)) return undefined;
    const names = properties.map(({ name }) => name).join();
    const isObserver = names === 'kwargs,event';
    if (names !== 'kwargs,reply,part' && !isObserver) return undefined;
    const inner = `${indent}  `;
    // A long union indents itself.
    const printed = properties.map(({ shape }) => this.print(shape, shape.kind === 'union' ? indent : inner));
    if (!isObserver && printed[2] === 'never') printed.pop();
    const name = isObserver ? 'ObserverApi' : 'ActionApi';
    const line = `${name}<${printed.join(', ')}>`;
    if (!line.includes('\n') && indent.length + line.length <= WIDEST) return line;
    return `${name}<${printed.map((argument) => `\n${inner}${argument.trimStart()}`).join(',')}\n${indent}>`;
  }

  private object({ properties }: ObjectShape, indent: string): string {
    if (properties.length === 0) return 'Record<never, never>';
    const inner = `${indent}  `;
    const printed = properties.map((property) => this.property(property, inner));
    const line = `{ ${printed.join('; ')} }`;
    const commented = properties.some(({ comment }) => comment.length > 0);
    if (!commented && indent !== '' && !line.includes('\n') && indent.length + line.length <= 90) return line;
    const lines = properties.map(({ comment }, index) => `${block(comment, inner)}${inner}${printed[index]};\n`);
    return `{\n${lines.join('')}${indent}}`;
  }

  private property({ name, readonly, optional, shape }: Property, indent: string): string {
    return `${readonly ? 'readonly ' : ''}${name}${optional ? '?' : ''}: ${this.print(shape, indent)}`.replace(
      ': \n',
      ':\n',
    );
  }
}

function block(comment: readonly string[], indent: string): string {
  if (comment.length === 0) return '';
  if (comment.length === 1) return `${indent}/** ${comment[0]} */\n`;
  return `${indent}/**\n${comment.map((line) => `${indent} * ${line}`.trimEnd()).join('\n')}\n${indent} */\n`;
}

/** Sorts by text, with null and undefined last. */
function byRank(a: string, b: string): number {
  const rank = (text: string) => ['null', 'undefined'].indexOf(text);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}
