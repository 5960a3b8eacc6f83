/** A type in the form in which it is written: expanded, without the server's names for its parts. */
export type Shape = TextShape | ListShape | TupleShape | CompositeShape | ObjectShape | Recurrence;

/** A keyword or a literal. */
export interface TextShape {
  readonly kind: 'text';
  readonly text: string;
}

export interface ListShape {
  readonly kind: 'list';
  readonly readonly: boolean;
  readonly item: Shape;
}

export interface TupleShape {
  readonly kind: 'tuple';
  readonly readonly: boolean;
  readonly items: readonly TupleItem[];
}

export interface TupleItem {
  readonly mark: '' | '?' | '...';
  readonly shape: Shape;
}

/** A union or intersection; the members of a union have no order. */
export interface CompositeShape {
  readonly kind: 'union' | 'intersection';
  readonly members: readonly Shape[];
}

export interface ObjectShape {
  readonly kind: 'object';
  readonly properties: readonly Property[];
}

export interface Property {
  /** The name in the file's syntax: an identifier, a quoted text, or `[key: string]` of an index signature. */
  readonly name: string;
  readonly readonly: boolean;
  readonly optional: boolean;
  /** The lines of the property's comment. */
  readonly comment: readonly string[];
  readonly shape: Shape;
}

/** The object that contains this place, once more. */
export interface Recurrence {
  readonly kind: 'recurrence';
  of(): ObjectShape;
}
