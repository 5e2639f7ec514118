/** The look: one accent, calm surfaces, compact controls. */
import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from '@mantine/core'

const BRAND: MantineColorsTuple = [
  '#eef2ff', '#dbe4ff', '#bac8ff', '#91a7ff', '#748ffc', '#5c7cfa', '#4c6ef5', '#4263eb', '#3b5bdb', '#364fc7',
]

export const theme = createTheme({
  primaryColor: 'brand',
  primaryShade: { light: 8, dark: 7 },
  colors: { brand: BRAND },
  defaultRadius: 'md',
  autoContrast: true,
  fontFamily:
    'Inter, Pretendard, system-ui, -apple-system, "Segoe UI", "Noto Sans KR", "Apple SD Gothic Neo", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "JetBrains Mono", SFMono-Regular, Menlo, Consolas, monospace',
  headings: { fontWeight: '650' },
  components: {
    Button: { defaultProps: { size: 'sm' } },
    Card: { defaultProps: { withBorder: true, padding: 'lg' } },
    Tabs: { styles: { list: { flexWrap: 'nowrap', overflowX: 'auto', overflowY: 'hidden', scrollbarWidth: 'none' }, tab: { flexShrink: 0 } } },
    Tooltip: { defaultProps: { openDelay: 300, withArrow: true } },
    Modal: { defaultProps: { centered: true, overlayProps: { blur: 2, backgroundOpacity: 0.35 } } },
    Drawer: { defaultProps: { overlayProps: { backgroundOpacity: 0.25 } } },
  },
})

/** Softer greys and reds that still can be read: 4.5:1 and better on every surface. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--surface': '#f7f8fb',
    '--mantine-color-dimmed': '#5c636b',
    '--mantine-color-error': '#c92a2a',
    '--mantine-color-placeholder': '#6b7280',
    ...textColors((_, text) => text),
  },
  dark: {
    '--surface': '#16171b',
    '--mantine-color-body': '#1d1e23',
    '--mantine-color-dimmed': '#a3a8b0',
    '--mantine-color-error': '#ff8787',
    '--mantine-color-placeholder': '#8f959e',
    '--mantine-color-default-border': '#484b54',
    ...textColors((name) => `var(--mantine-color-${name}-2)`),
  },
})

const LIGHT_TEXT: Record<string, string> = {
  brand: '#364fc7', red: '#b02525', orange: '#a83a04', yellow: '#8a5300', teal: '#066649', blue: '#1863ab', gray: '#495057',
}

/** The text of light badges, buttons and alerts in a shade that can be read on their ground. */
function textColors(colorOf: (name: string, text: string) => string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(LIGHT_TEXT).flatMap(([name, text]) =>
      [`--mantine-color-${name}-light-color`, `--mantine-color-${name}-text`].map((variable) => [variable, colorOf(name, text)]),
    ),
  )
}
