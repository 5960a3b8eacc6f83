const SVG = 'http://www.w3.org/2000/svg';

/** The sign of a private room, with a text for users who do not see it. */
export function lockSign(): SVGSVGElement {
  const sign = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', 'M7 11V8a5 5 0 0 1 10 0v3M5.5 11h13v9h-13z');
  for (const [name, value] of Object.entries({
    viewBox: '0 0 24 24',
    class: 'lock',
    role: 'img',
    'aria-label': 'Private',
  }))
    sign.setAttribute(name, value);
  sign.append(path);
  return sign;
}
