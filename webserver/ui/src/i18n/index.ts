/** The languages of the page. Keys are checked by the compiler, completeness by a test. */
import i18next from 'i18next'
import { initReactI18next } from 'react-i18next'
import adminEn from './admin.en.json'
import adminKo from './admin.ko.json'
import userEn from './en.json'
import userKo from './ko.json'

export const en = { ...userEn, ...adminEn }
export const ko = { ...userKo, ...adminKo }

export const LANGUAGES = { en: 'English', ko: '한국어' } as const
export type Language = keyof typeof LANGUAGES

const KEPT = 'language'

declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'translation'
    resources: { translation: typeof en }
  }
}

export function startLanguage(): void {
  void i18next.use(initReactI18next).init({
    resources: { en: { translation: en }, ko: { translation: ko } },
    lng: chosenLanguage(),
    fallbackLng: 'en',
    interpolation: { escapeValue: false },
  })
  document.documentElement.lang = i18next.language
}

export function chooseLanguage(language: Language): void {
  localStorage.setItem(KEPT, language)
  document.documentElement.lang = language
  void i18next.changeLanguage(language)
}

function chosenLanguage(): Language {
  const wanted = localStorage.getItem(KEPT) ?? navigator.language.slice(0, 2)
  return wanted in LANGUAGES ? (wanted as Language) : 'en'
}
