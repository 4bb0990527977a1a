# lib/charset: conversion and case folding (ICU), modified UTF-7.
